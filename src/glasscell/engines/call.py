"""The engine contract: what an engine is given, and what it gives back."""

from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from glasscell.cells import Cell, Weights
from glasscell.engines.packing import Packing


@dataclass(frozen=True)
class Call:
    """One cell over one batch of sequences in one direction: a layer is one or two of these."""

    cell: Cell
    weights: Weights
    x: Tensor  # (N, I)  packed tokens
    packing: Packing
    h_0: Tensor  # (B, P)  longest sequence first, like the tokens
    c_0: Tensor | None = None  # (B, H)  for cells that have a cell state
    reverse: bool = False
    record: bool = False  # whether the caller will read gates and states of every step

    def to(self, dtype: torch.dtype) -> "Call":
        """The same call with every tensor in another precision."""

        def cast(tensor: Tensor | None) -> Any:
            return None if tensor is None else tensor.to(dtype)

        w = self.weights
        return replace(
            self,
            weights=Weights(*(cast(tensor) for tensor in w.tensors())),
            x=cast(self.x),
            h_0=cast(self.h_0),
            c_0=cast(self.c_0),
        )

    def tensors(self) -> tuple[Tensor | None, ...]:
        """Everything a gradient may be asked for."""
        return self.x, self.h_0, self.c_0, *self.weights.tensors()


@dataclass(frozen=True)
class Record:
    """What a run computed. Every tensor is connected to autograd.

    `h` and the last states are always there; the rest where the call asked to record, or where
    the engine has it anyway.
    """

    h: Tensor  # (N, P)
    h_n: Tensor  # (B, P)
    c_n: Tensor | None = None  # (B, H)
    c: Tensor | None = None  # (N, H)
    gates: Tensor | None = None  # (N, G, H)
    pre: Tensor | None = None  # (N, G, H)


class Engine(Protocol):
    """How a cell runs over a sequence. Engines differ only in speed."""

    name: str

    def refuses(self, call: Call) -> str | None:
        """Why this engine cannot run the call, or None if it can."""
        ...

    def run(self, call: Call) -> Record:
        """Runs it. Called only where `refuses` is None."""
        ...
