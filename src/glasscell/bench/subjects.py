"""What is run: one layer of a size on a batch of a size, in ours and in torch.nn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import glasscell
from glasscell.bench.agreement import Answer
from glasscell.bench.comparison import Comparison, Peer
from glasscell.bench.loops import Looped
from glasscell.bench.passes import (
    OURS,
    THEIRS,
    Gates,
    Input,
    exact,
    inference,
    keep_gates,
    leaf,
    tokens,
    training,
)
from glasscell.bench.runtimes import Runtime


@dataclass(frozen=True)
class Subject:
    """A layer and its batch; I = H.

    Attributes:
        kind: "LSTM" or "GRU".
        projected: whether h_t is projected to H / 2.
        ragged: whether the batch is a PackedSequence, of a mean length of 55 % of T.
        trained: whether it is a training step; else inference.
    """

    B: int
    H: int
    T: int
    kind: str = "LSTM"
    dtype: torch.dtype = torch.float32
    projected: bool = False
    ragged: bool = False
    trained: bool = False

    @property
    def case(self) -> str:
        return f"B {self.B:<3} H {self.H:<4}" + ("" if self.T == 100 else f" T {self.T}")

    @property
    def shape(self) -> dict[str, int]:
        return {"B": self.B, "H": self.H, "T": self.T, "N": int(self.lengths.sum())}

    @property
    def P(self) -> int:
        """Size of a hidden state."""
        return max(1, self.H // 2) if self.projected else self.H

    @property
    def lengths(self) -> Tensor:
        """(B,) tokens of each sequence, longest first."""
        if self.ragged:
            return ragged_lengths(self.B, self.T)
        return torch.full((self.B,), self.T)

    @property
    def flops(self) -> float:
        """Floating-point operations of the products; in training each of them comes thrice."""
        H, P, G = self.H, self.P, {"LSTM": 4, "GRU": 3}[self.kind]
        token = 2 * G * H * (H + P) + (2 * P * H if self.projected else 0)
        return float(token * self.shape["N"] * (3 if self.trained else 1))

    def input(self) -> Input:
        x = torch.randn(self.T, self.B, self.H, dtype=self.dtype)
        packed = pack_padded_sequence(x, self.lengths) if self.ragged else x
        return leaf(packed) if self.trained else packed

    def layers(self, engine: str = "native") -> tuple[glasscell.LSTM | glasscell.GRU, Any]:
        """Ours and torch.nn's, with the same weights.

        Args:
            engine: of ours; where "native" cannot run this, "auto" picks.
        """
        options: dict[str, Any] = {"dtype": self.dtype}
        if self.projected:
            options["proj_size"] = self.P
        theirs = getattr(nn, self.kind)(self.H, self.H, **options)
        ours = getattr(glasscell, self.kind)(self.H, self.H, **options)
        ours.load_state_dict(theirs.state_dict())
        refusals = ours.explain_engine(self.input()).refusals
        ours.engine = engine if refusals.get(engine, "not there") is None else "auto"
        return ours, theirs

    def peer(
        self,
        name: str,
        layer: nn.Module,
        x: Input,
        w: Tensor | None = None,
        gates: Gates | None = None,
    ) -> Peer:
        """One layer on one input, run as this subject is.

        Args:
            w: weighs the loss of a training step.
            gates: gives the gates of its last run, where they are to be checked.
        """
        if not self.trained:
            return inference(name, layer, x, gates)
        assert w is not None
        return training(name, layer, x, w, gates)

    def loss_weights(self) -> Tensor | None:
        """What the loss of a training step weighs the output's tokens by."""
        if not self.trained:
            return None
        rows = (self.shape["N"],) if self.ragged else (self.T, self.B)
        return torch.randn(*rows, self.P, dtype=self.dtype)


def ragged_lengths(B: int, T: int) -> Tensor:
    """(B,) lengths from T / 10 to T, longest first, whose mean is 55 % of T; always the same."""
    draws = torch.rand(B // 2, generator=torch.Generator().manual_seed(0))
    draws = torch.cat((draws, 1 - draws, torch.full((B % 2,), 0.5)))  # their mean is one half
    lengths = (T * (0.1 + 0.9 * draws)).round().long().clamp(1, T)
    return lengths.sort(descending=True).values


def side_by_side(
    subject: Subject,
    *,
    engine: str = "native",
    gates_kept: bool = False,
    runtimes: Iterable[Runtime] = (),
    case: str | None = None,
    threads: int | None = None,
) -> Comparison:
    """Our layer beside torch.nn's and, for inference, runtimes; checked against float64.

    Args:
        engine: of ours; where "native" cannot run this, "auto" picks.
        gates_kept: whether ours records every gate and state of every step; not of a ragged batch.
        case: what the row is called, if not after its shape.
        threads: for this row alone.
    """
    ours, theirs = subject.layers(engine)
    x, w = subject.input(), subject.loss_weights()
    runs = ours.explain_engine(x).engine
    gates = keep_gates(ours) if gates_kept else None
    w_64 = None if w is None else w.double()
    in_float64 = subject.peer("torch.nn, float64", exact(theirs), leaf(x, torch.float64), w_64)
    rivals = [subject.peer(THEIRS, theirs, x, w)]
    rivals += [runtime.peer(theirs, tokens(x), subject.dtype) for runtime in runtimes]
    return Comparison(
        case=case or subject.case,
        ours=subject.peer(OURS, ours, x, w, gates),
        rivals=tuple(rivals),
        expected=with_gates(in_float64, theirs, x) if gates_kept else in_float64.answer,
        shape=subject.shape,
        flops=subject.flops,
        dtype=subject.dtype,
        engine=runs,
        threads=threads,
    )


def with_gates(right: Peer, layer: nn.Module, x: Input) -> Callable[[], Answer]:
    """A peer's answer with the gates, which torch.nn hides, as a loop of cells has them."""

    def answer_and_gates() -> Answer:
        assert isinstance(x, Tensor)
        assert right.answer is not None
        answer, loop = right.answer(), Looped(exact(layer))
        with torch.no_grad():
            loop(x.double())
        assert loop.gates is not None
        return Answer({**answer.values, "gates": loop.gates}, answer.gradients)

    return answer_and_gates
