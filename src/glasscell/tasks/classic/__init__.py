"""The classic tasks: sequences made on the fly, whose chance level and optimum are known."""

from glasscell.tasks.classic.adding import Adding
from glasscell.tasks.classic.by_hand import counting_turnstile
from glasscell.tasks.classic.by_name import TASKS, task_of
from glasscell.tasks.classic.copying import Copy
from glasscell.tasks.classic.counting import Anbn, Anbncn
from glasscell.tasks.classic.dyck import Dyck2
from glasscell.tasks.classic.model import SequenceModel
from glasscell.tasks.classic.parity import Parity
from glasscell.tasks.classic.reber import Reber
from glasscell.tasks.classic.task import ClassicTask
from glasscell.tasks.classic.temporal_order import TemporalOrder
from glasscell.tasks.classic.turnstile import Turnstile

__all__ = [
    "TASKS",
    "Adding",
    "Anbn",
    "Anbncn",
    "ClassicTask",
    "Copy",
    "Dyck2",
    "Parity",
    "Reber",
    "SequenceModel",
    "TemporalOrder",
    "Turnstile",
    "counting_turnstile",
    "task_of",
]
