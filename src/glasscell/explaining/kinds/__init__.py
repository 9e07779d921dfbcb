"""How the step of each kind of cell is told: one file a kind."""

from glasscell.explaining.kinds.table import telling

__all__ = ["telling"]
