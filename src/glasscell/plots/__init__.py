"""Figures of traces and analyses. plotly is loaded when the first figure is drawn."""

from glasscell.plots.cost_scores import cost_scores
from glasscell.plots.courses import courses
from glasscell.plots.files import save
from glasscell.plots.find_units import unit_scores
from glasscell.plots.forecast_chart import forecast_chart
from glasscell.plots.gradient_flow import gradient_flow
from glasscell.plots.heatmap import gate_heatmap
from glasscell.plots.kicks import kick_survival
from glasscell.plots.learning_curves import learning_curves
from glasscell.plots.ledger import gradient_ledger, ledger
from glasscell.plots.lyapunov import lyapunov_spectrum
from glasscell.plots.match import match_list
from glasscell.plots.memory import memory_span_bars
from glasscell.plots.next_token import next_token
from glasscell.plots.phase_plane import phase_plane
from glasscell.plots.report import language_report
from glasscell.plots.rnnbow import rnnbow
from glasscell.plots.saturation import saturation_scatter
from glasscell.plots.seed_scores import seed_scores
from glasscell.plots.time_scales import time_scales
from glasscell.plots.unit_strips import unit_strips

__all__ = [
    "cost_scores",
    "courses",
    "forecast_chart",
    "gate_heatmap",
    "gradient_flow",
    "gradient_ledger",
    "kick_survival",
    "language_report",
    "learning_curves",
    "ledger",
    "lyapunov_spectrum",
    "match_list",
    "memory_span_bars",
    "next_token",
    "phase_plane",
    "rnnbow",
    "saturation_scatter",
    "save",
    "seed_scores",
    "time_scales",
    "unit_scores",
    "unit_strips",
]
