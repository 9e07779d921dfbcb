"""Figures of traces and analyses. plotly is loaded when the first figure is drawn."""

from glasscell.plots.heatmap import gate_heatmap
from glasscell.plots.memory import memory_span_bars
from glasscell.plots.next_token import next_token
from glasscell.plots.report import language_report
from glasscell.plots.saturation import saturation_scatter
from glasscell.plots.unit_strips import unit_strips

__all__ = [
    "gate_heatmap",
    "language_report",
    "memory_span_bars",
    "next_token",
    "saturation_scatter",
    "unit_strips",
]
