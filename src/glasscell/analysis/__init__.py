"""Questions asked of a trace, answered in plain numbers."""

from glasscell.analysis.dynamics import Dynamics, dynamics
from glasscell.analysis.find_units import FoundUnits, UnitScore, find_units
from glasscell.analysis.fixed_points import FixedPoints, fixed_points
from glasscell.analysis.gradient_flow import (
    GradientFlow,
    compare_gradient_flow,
    gradient_flow,
)
from glasscell.analysis.gradient_ledger import GradientLedger, gradient_ledger
from glasscell.analysis.kicks import KickSurvival, kick_survival
from glasscell.analysis.ledger import Ledger, ledger
from glasscell.analysis.lyapunov import LyapunovSpectrum, lyapunov_exponents
from glasscell.analysis.match import LayerUnit, Matches, Span, match
from glasscell.analysis.memory import (
    UnitMemory,
    half_lives,
    keeping_gate,
    memory_span,
    units_by_memory,
)
from glasscell.analysis.predictions import Predictions, predictions
from glasscell.analysis.principal_components import PrincipalComponents, principal_components
from glasscell.analysis.probe import Probe
from glasscell.analysis.rnnbow import Rnnbow, rnnbow
from glasscell.analysis.saturation import Saturation, saturation, sigmoid_gates
from glasscell.analysis.steps import (
    GateExtremes,
    Ranked,
    extreme_gates,
    most_moved_cells,
    movement,
)
from glasscell.analysis.surprise_flow import LayerFlow, SurpriseFlow, surprise_flow
from glasscell.analysis.swings import swings
from glasscell.analysis.time_scales import TimeScales, time_scales

__all__ = [
    "Dynamics",
    "FixedPoints",
    "FoundUnits",
    "GateExtremes",
    "GradientFlow",
    "GradientLedger",
    "KickSurvival",
    "LayerFlow",
    "LayerUnit",
    "Ledger",
    "LyapunovSpectrum",
    "Matches",
    "Predictions",
    "PrincipalComponents",
    "Probe",
    "Ranked",
    "Rnnbow",
    "Saturation",
    "Span",
    "SurpriseFlow",
    "TimeScales",
    "UnitMemory",
    "UnitScore",
    "compare_gradient_flow",
    "dynamics",
    "extreme_gates",
    "find_units",
    "fixed_points",
    "gradient_flow",
    "gradient_ledger",
    "half_lives",
    "keeping_gate",
    "kick_survival",
    "ledger",
    "lyapunov_exponents",
    "match",
    "memory_span",
    "most_moved_cells",
    "movement",
    "predictions",
    "principal_components",
    "rnnbow",
    "saturation",
    "sigmoid_gates",
    "surprise_flow",
    "swings",
    "time_scales",
    "units_by_memory",
]
