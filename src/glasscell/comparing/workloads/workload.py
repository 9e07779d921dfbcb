"""What every workload has: models of any cell, updates in an order that a seed fixes, scores."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol

from torch import Tensor, nn

from glasscell.comparing.measure import Measure
from glasscell.comparing.models import Size

DROPOUTS = (0.0, 0.1, 0.2, 0.3)


class Feed(Protocol):
    """The data of one training, in an order that depends on its seed alone."""

    def loss(self, model: nn.Module) -> Tensor:
        """The loss of the next update."""
        ...


class Workload(Protocol):
    """Something to compare cells on.

    Attributes:
        description: plain data from which `read_workload` makes the same one in another process.
        title: what it is, for a heading.
        facts: what a reader should know of it: sizes, what is held out.
        measure: what the score is.
        tokens_per_update: steps of all sequences of an update.
        choices: what tuning may choose of a model's `Size`, the usual choice first.
    """

    @property
    def description(self) -> dict[str, Any]: ...
    @property
    def title(self) -> str: ...
    @property
    def facts(self) -> tuple[str, ...]: ...
    @property
    def measure(self) -> Measure: ...
    @property
    def tokens_per_update(self) -> int: ...
    @property
    def choices(self) -> dict[str, tuple[Any, ...]]: ...

    def model(self, cell: str, size: Size) -> nn.Module:
        """A model with weights drawn from torch's generator."""
        ...

    def learning_rate(self, cell: str, hidden: int) -> float:
        """The highest learning rate of a training, unless it is tuned."""
        ...

    def feed(self, seed: int) -> Feed:
        """The data of a training, in the order of a seed."""
        ...

    def validation(self, model: nn.Module) -> float:
        """The score on what chooses between models; in evaluation mode."""
        ...

    def test(self, model: nn.Module) -> float:
        """The score that is reported, on what nothing was chosen by."""
        ...

    def read(self, model: nn.Module) -> int:
        """Lets a model read as many sequences as in an update. Returns the tokens."""
        ...


PLACES = {
    "text": "glasscell.comparing.workloads.text:TextWorkload",
    "series": "glasscell.comparing.workloads.series:SeriesWorkload",
    "classic": "glasscell.comparing.workloads.classic:ClassicWorkload",
}


def read_workload(description: dict[str, Any]) -> Workload:
    """The workload of a description; `task` says which kind, the rest is its own.

    Raises:
        UserError: what it is made from cannot be used.
    """
    module, _, name = PLACES[description["task"]].partition(":")
    options = {key: value for key, value in description.items() if key != "task"}
    return getattr(import_module(module), name)(**options)
