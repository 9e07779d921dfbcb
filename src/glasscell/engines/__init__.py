"""How a cell runs over a sequence: engines that share one contract and differ only in speed."""

from glasscell.engines.call import Call, Engine, GradientRecord, Record, StepGradients
from glasscell.engines.edits import RunEdit, combined
from glasscell.engines.observed import observed
from glasscell.engines.packing import Packing
from glasscell.engines.replay import can_replay, replay
from glasscell.engines.table import ENGINES, Choice, choose, choose_for_one_step, explain, stepper

__all__ = [
    "ENGINES",
    "Call",
    "Choice",
    "Engine",
    "GradientRecord",
    "Packing",
    "Record",
    "RunEdit",
    "StepGradients",
    "can_replay",
    "choose",
    "choose_for_one_step",
    "combined",
    "explain",
    "observed",
    "replay",
    "stepper",
]
