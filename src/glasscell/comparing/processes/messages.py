"""What a process is told to do, and what it answers: each a line of JSON on its way."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from glasscell.comparing.models import Size
from glasscell.comparing.trainings.timed import Limit
from glasscell.errors import UserError


@dataclass(frozen=True)
class ProbeOrder:
    """Measure how long the training of a cell takes.

    Attributes:
        workload: the description of what is trained on.
        cell, size: of the model.
    """

    workload: dict[str, Any]
    cell: str
    size: Size


@dataclass(frozen=True)
class TuneOrder:
    """Choose the options of a cell by trials.

    Attributes:
        workload: the description of what is trained on.
        cell: what is tuned.
        size: its matched size.
        folder: where the journal of trials is kept.
        study: the name of what this search may go on with.
        parameters: that each model tried comes closest to.
        limit: of a trial.
        seconds: of processor time for all trials; None for a number of them.
    """

    workload: dict[str, Any]
    cell: str
    size: Size
    folder: str
    study: str
    parameters: int
    limit: Limit
    seconds: float | None


@dataclass(frozen=True)
class TrainOrder:
    """Train a cell from a seed, and write its run.

    Attributes:
        workload: the description of what is trained on.
        cell, size, seed: of the model.
        limit: of the training.
        learning_rate: the highest; None for the usual one.
        folder: the comparison's.
        plan: the fingerprint of what the run is a part of.
    """

    workload: dict[str, Any]
    cell: str
    size: Size
    seed: int
    limit: Limit
    learning_rate: float | None
    folder: str
    plan: str


Order = ProbeOrder | TuneOrder | TrainOrder
KINDS: dict[str, type[Order]] = {"probe": ProbeOrder, "tune": TuneOrder, "train": TrainOrder}


def order_as_line(number: int, order: Order) -> str:
    """An order as it is sent: a line of JSON, with the number that its answers bear."""
    kind = next(name for name, each in KINDS.items() if type(order) is each)
    return json.dumps({"number": number, "do": kind, **asdict(order)}) + "\n"


def order_of_line(line: str) -> tuple[int, Order]:
    """The number and the order of a line."""
    plain = json.loads(line)
    number, kind = plain.pop("number"), KINDS[plain.pop("do")]
    if "limit" in plain:
        plain["limit"] = Limit(**plain["limit"])
    return number, kind(**{**plain, "size": Size(**plain["size"])})


@dataclass(frozen=True)
class Answer:
    """What a process says of an order: that it was begun, how far it is, or what came of it.

    Attributes:
        event: "done", "refused" and "failed" are the last answer to an order.
        part: how much of a training is done, 0 to 1, of "progress".
        score: a validation's, of "progress", where one was just made.
        result: of "done", as plain data.
        why: of "refused" (by the data or an option) and "failed" (by an error, or by the end of
            the process).
    """

    event: Literal["begun", "progress", "done", "refused", "failed"]
    part: float = 0.0
    score: float | None = None
    result: dict[str, Any] = field(default_factory=dict)
    why: str = ""

    @property
    def is_last(self) -> bool:
        """Whether the order has ended with it."""
        return self.event in ("done", "refused", "failed")


def result_of(answer: Answer, cell: str) -> dict[str, Any]:
    """What an order of a cell came to, where nothing can go on without it.

    Raises:
        UserError: it was refused, or failed.
    """
    if answer.event != "done":
        raise UserError(f"{cell} cannot be trained: {answer.why}")
    return answer.result


def answer_as_line(number: int, answer: Answer) -> str:
    """An answer as it is sent: a line of JSON, with the number of its order."""
    return json.dumps({"number": number, **asdict(answer)}) + "\n"


def answer_of_line(line: str | bytes) -> tuple[int, Answer]:
    """The number of the order, and the answer, of a line.

    Raises:
        ValueError: it was cut off.
    """
    plain = json.loads(line)
    return plain.pop("number"), Answer(**plain)
