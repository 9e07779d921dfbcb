"""The classic tasks: sequences made on the fly, whose chance level and optimum are known."""

from glasscell.tasks.classic.adding import Adding
from glasscell.tasks.classic.by_hand import counting_turnstile
from glasscell.tasks.classic.model import SequenceModel
from glasscell.tasks.classic.temporal_order import TemporalOrder
from glasscell.tasks.classic.turnstile import Turnstile

# By name, as a person asks for them.
TASKS = {task.name: task for task in (Adding, TemporalOrder, Turnstile)}

__all__ = [
    "TASKS",
    "Adding",
    "SequenceModel",
    "TemporalOrder",
    "Turnstile",
    "counting_turnstile",
]
