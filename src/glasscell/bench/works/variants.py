"""What a variant costs, and what chance in the recurrence costs: beside the plain layer, and beside
the loop in Python that people write for it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

import glasscell
from glasscell.bench.agreement import Answer
from glasscell.bench.comparison import Comparison, Peer
from glasscell.bench.passes import (
    OURS,
    Gates,
    Input,
    exact,
    inference,
    keep_gates,
    leaf,
    training,
)
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject
from glasscell.bench.variant_loops import LoopedVariant, has_loop
from glasscell.cells import LSTM, SQUASHES, VARIANTS

SIZES = ((32, 256, 100), (64, 512, 50), (32, 64, 100))  # B, H, T
ONE_SEQUENCE = ((1, 128, 100),)
PEEPHOLE_BATCHES, PEEPHOLE_SIZES = (16, 64), (128, 256, 512)

SEED = 1  # of what chance does where answers are compared
# Steps over which answers are compared, where a difference in the last bit does not stay one. It
# turns a draw that is compared with a number, and a slope at a kink: the more of them, the surer.
# And it grows step by step where layer norm makes what is small large, and in a cell state that
# nothing forgets.
FIRST_TURNING, FIRST_GROWING = 2, 10
KINKED = {
    squash
    for squash in SQUASHES.values()
    if squash.name in ("relu", "hard_tanh", "hard_sigmoid", "positive")
}


@dataclass(frozen=True)
class Variant:
    """A layer that differs from the plain one.

    Attributes:
        name: as rows call it.
        cell: the variant's name.
        options: what else the layer is told.
    """

    name: str
    cell: str = "lstm"
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def compared(self) -> slice:
        """The steps over which its answer is compared."""
        if "bernoulli" in dict(self.options.get("stochastic", {})).values():
            return slice(FIRST_TURNING)
        cell = VARIANTS[self.cell]
        squashes = {*(gate.squash for gate in cell.gates), getattr(cell, "output_squash", None)}
        if squashes & KINKED:
            return slice(FIRST_TURNING)
        never_forgets = isinstance(cell, LSTM) and cell.forget_gate is cell.sharing is None
        grows = self.cell.startswith("layer_norm") or never_forgets
        return slice(FIRST_GROWING if grows else None)


NAMED = tuple(Variant(name, name) for name, cell in VARIANTS.items() if has_loop(cell))
NORMALISED = tuple(each for each in NAMED if each.cell.startswith("layer_norm"))
LSTMS = tuple(
    each
    for each in NAMED
    if VARIANTS[each.cell].has_cell_state and each not in NORMALISED and each.cell != "lstm"
)
OTHERS = tuple(
    each
    for each in NAMED
    if not VARIANTS[each.cell].has_cell_state and each not in NORMALISED and each.cell != "gru"
)
GATES = ("input", "forget", "output")
CHANCE = (
    Variant("zoneout", options={"zoneout": 0.1}),
    Variant("recurrent_dropout", options={"recurrent_dropout": 0.25}),
    Variant("weight_dropout", options={"weight_dropout": 0.5}),
    Variant("bernoulli", options={"stochastic": dict.fromkeys(GATES, "bernoulli")}),
    Variant("gumbel", options={"stochastic": dict.fromkeys(GATES, "gumbel")}),
)


def lstms(scale: Scale) -> Iterator[Comparison]:
    """Every variant of the LSTM beside the plain LSTM."""
    return _rows(LSTMS, scale, ("lstm",))


def others(scale: Scale) -> Iterator[Comparison]:
    """Variants of the GRU, and simple RNNs, beside the plain GRU and the plain LSTM."""
    return _rows(OTHERS, scale, ("gru", "lstm"))


def normalised(scale: Scale) -> Iterator[Comparison]:
    """Layer norm beside the plain layer."""
    for variant in NORMALISED:
        yield from _rows((variant,), scale, (variant.cell.removeprefix("layer_norm_"),))


def chance(scale: Scale) -> Iterator[Comparison]:
    """An LSTM in training mode, where chance has a part, beside one where it has none."""
    return _rows(CHANCE, scale, ("lstm",))


def beside_loops(scale: Scale) -> Iterator[Comparison]:
    """Everything beside its loop, in batches."""
    for variant in (*NAMED, *CHANCE):
        for subject in _subjects(SIZES, scale):
            yield _beside_loop(variant, subject)


def beside_loops_alone(scale: Scale) -> Iterator[Comparison]:
    """Everything beside its loop, on one sequence."""
    for variant in (*NAMED, *CHANCE):
        for subject in _subjects(ONE_SEQUENCE, scale):
            yield _beside_loop(variant, subject)


def peephole_training(scale: Scale) -> Iterator[Comparison]:
    """A training step of a peephole LSTM, every gate kept, beside a loop that keeps none."""
    for B, H in scale.grid(PEEPHOLE_BATCHES, PEEPHOLE_SIZES):
        subject = Subject(B, H, scale.T, trained=True)
        row = _beside_loop(Variant("peephole", "peephole"), subject, gates_kept=True)
        yield replace(row, case=subject.case)


def _rows(
    variants: tuple[Variant, ...], scale: Scale, plain: tuple[str, ...]
) -> Iterator[Comparison]:
    for variant in variants:
        for sizes in (SIZES, ONE_SEQUENCE):
            for subject in _subjects(sizes, scale):
                yield _beside_plain(variant, subject, plain)


def _subjects(sizes: tuple[tuple[int, int, int], ...], scale: Scale) -> Iterator[Subject]:
    """Inference and a training step of each size; of a few, the last alone."""
    for B, H, T in sizes[-1:] if scale.few else sizes:
        B, H = (max(1, size // scale.divide) for size in (B, H))
        for trained in (False, True):
            yield Subject(B, H, min(T, scale.T), trained=trained)


def _beside_plain(variant: Variant, subject: Subject, plain: tuple[str, ...]) -> Comparison:
    x, w = subject.input(), subject.loss_weights()
    layers = {f"plain {name.upper()}": _layer(Variant(name, name), subject) for name in plain}
    # other cells, and so other answers
    rivals = (replace(_peer(name, each, x, w), answer=None) for name, each in layers.items())
    return replace(_checked(variant, subject), rivals=tuple(rivals))


def _beside_loop(variant: Variant, subject: Subject, *, gates_kept: bool = False) -> Comparison:
    loop = LoopedVariant(subject.H, subject.H, cell=variant.cell, **variant.options)
    x, w = subject.input(), subject.loss_weights()
    rival = _peer("Python loop", loop, x, w)
    found = _checked(variant, subject, loop, x, w, gates_kept=gates_kept)
    if variant.options:  # it draws other numbers
        rival = replace(rival, answer=None)
    else:
        rival = replace(rival, answer=_answer(variant, loop, x, w))
    return replace(found, rivals=(rival,))


def _checked(
    variant: Variant,
    subject: Subject,
    weights: nn.Module | None = None,
    x: Input | None = None,
    w: Tensor | None = None,
    *,
    gates_kept: bool = False,
) -> Comparison:
    """Ours alone, held against the reference in float64.

    Args:
        weights: another layer's, if it is to have the same; x and w likewise.
    """
    if x is None:
        x, w = subject.input(), subject.loss_weights()
    assert isinstance(x, Tensor)
    ours = _layer(variant, subject)
    if weights is not None:
        ours.load_state_dict(weights.state_dict())
    right = exact(ours)
    right.engine = "reference"

    return Comparison(
        case=f"{variant.name:<21} {subject.case} {'training' if subject.trained else 'inference'}",
        ours=replace(
            _peer(OURS, ours, x, w), answer=_answer(variant, ours, x, w, gates_kept=gates_kept)
        ),
        rivals=(),
        expected=_answer(variant, right, x, w, gates_kept=gates_kept),
        shape=subject.shape,
        flops=_flops(ours, subject),
        engine=ours.explain_engine(x).engine,
    )


def _answer(
    variant: Variant,
    layer: glasscell.Recurrent,
    x: Input,
    w: Tensor | None,
    *,
    gates_kept: bool = False,
) -> Callable[[], Answer]:
    """What a layer computes in its own precision of the steps that are compared, when chance
    begins as it always does.
    """
    assert isinstance(x, Tensor)
    dtype = layer.weight_ih_l0.dtype
    weighed = None if w is None else w[variant.compared].to(dtype)
    gates = keep_gates(layer) if gates_kept else None
    answer = _peer("", layer, leaf(x[variant.compared], dtype), weighed, gates).answer
    assert answer is not None

    def seeded() -> Answer:
        torch.manual_seed(SEED)
        return answer()

    return seeded


def _layer(variant: Variant, subject: Subject) -> glasscell.Recurrent:
    """It, run by the native engine where that can, or else as "auto" picks."""
    layer = glasscell.Recurrent(subject.H, subject.H, cell=variant.cell, **variant.options)
    if layer.explain_engine(subject.input()).refusals["native"] is None:
        layer.engine = "native"
    return layer


def _peer(name: str, layer: Any, x: Any, w: Tensor | None, gates: Gates | None = None) -> Peer:
    return inference(name, layer, x, gates) if w is None else training(name, layer, x, w, gates)


def _flops(layer: glasscell.Recurrent, subject: Subject) -> float:
    """Floating-point operations of the products; in training each of them comes thrice."""
    w = layer.weights()
    token = 2 * (w.W.numel() + w.U.numel())
    return float(token * subject.shape["N"] * (3 if subject.trained else 1))
