"""LSTMs you can see into, at kernel speed."""

from glasscell.version import __version__

__all__ = ["__version__"]
