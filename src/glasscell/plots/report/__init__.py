"""The report: one self-contained page about what a language model did with a text."""

from glasscell.plots.report.page import language_report

__all__ = ["language_report"]
