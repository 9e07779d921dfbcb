"""Questions asked of a trace, answered in plain numbers."""

from glasscell.analysis.behaviour.predictions import Predictions, predictions
from glasscell.analysis.behaviour.saturation import Saturation, saturation, sigmoid_gates
from glasscell.analysis.behaviour.steps import (
    GateExtremes,
    Ranked,
    extreme_gates,
    most_moved_cells,
    movement,
)
from glasscell.analysis.behaviour.swings import swings
from glasscell.analysis.gradients.gradient_flow import (
    GradientFlow,
    compare_gradient_flow,
    gradient_flow,
)
from glasscell.analysis.gradients.gradient_ledger import GradientLedger, gradient_ledger
from glasscell.analysis.gradients.rnnbow import Rnnbow, rnnbow
from glasscell.analysis.gradients.surprise_flow import LayerFlow, SurpriseFlow, surprise_flow
from glasscell.analysis.memory.kicks import KickSurvival, kick_survival
from glasscell.analysis.memory.ledger import Ledger, ledger
from glasscell.analysis.memory.memory_span import (
    UnitMemory,
    half_lives,
    keeping_gate,
    memory_span,
    units_by_memory,
)
from glasscell.analysis.memory.time_scales import TimeScales, time_scales
from glasscell.analysis.state_space.dynamics import Dynamics, dynamics
from glasscell.analysis.state_space.fixed_points import FixedPoints, fixed_points
from glasscell.analysis.state_space.lyapunov import LyapunovSpectrum, lyapunov_exponents
from glasscell.analysis.state_space.principal_components import (
    PrincipalComponents,
    principal_components,
)
from glasscell.analysis.units.find_units import FoundUnits, UnitScore, find_units
from glasscell.analysis.units.match import match
from glasscell.analysis.units.matches import LayerUnit, Matches, Span
from glasscell.analysis.units.probe import Probe

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
