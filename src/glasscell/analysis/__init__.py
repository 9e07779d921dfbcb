"""Questions asked of a trace, answered in plain numbers."""

from glasscell.analysis.ledger import Ledger, ledger
from glasscell.analysis.memory import UnitMemory, keeping_gate, memory_span, units_by_memory
from glasscell.analysis.predictions import Predictions, predictions
from glasscell.analysis.saturation import Saturation, saturation, sigmoid_gates
from glasscell.analysis.steps import (
    GateExtremes,
    Ranked,
    extreme_gates,
    most_moved_cells,
    movement,
)
from glasscell.analysis.swings import swings

__all__ = [
    "GateExtremes",
    "Ledger",
    "Predictions",
    "Ranked",
    "Saturation",
    "UnitMemory",
    "extreme_gates",
    "keeping_gate",
    "ledger",
    "memory_span",
    "most_moved_cells",
    "movement",
    "predictions",
    "saturation",
    "sigmoid_gates",
    "swings",
    "units_by_memory",
]
