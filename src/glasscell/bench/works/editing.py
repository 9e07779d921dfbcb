"""What an edit inside the recurrence costs: the same layer with it and without."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

import glasscell
from glasscell.bench.comparison import Comparison
from glasscell.bench.passes import OURS, exact, inference, leaf, training
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject

BATCHES, SIZES = (1, 32), (128, 512)


def edited(scale: Scale) -> Iterator[Comparison]:
    """A few units over some steps; and every gate and state of every unit and step."""
    for B, H in scale.grid(BATCHES, SIZES):
        for trained in (False, True):
            subject = Subject(B, H, scale.T, trained=trained)
            few = slice(scale.T // 4, scale.T // 2)
            some = [glasscell.Edit("l0", "forget_gate", units=[1, 2, 3], steps=few, set=1.0)]
            yield _beside_unedited(subject, "few units", some)
            quantities = ("input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden")
            every = [glasscell.Edit("l0", quantity, scale=0.99) for quantity in quantities]
            yield _beside_unedited(subject, "everything", every)


class _Edited(nn.Module):
    """A layer that runs under edits."""

    def __init__(self, layer: nn.Module, edits: list[glasscell.Edit]) -> None:
        super().__init__()
        self.layer = layer
        glasscell.edit(layer, edits).__enter__()  # for as long as it lives

    def forward(self, x: Tensor) -> Any:
        return self.layer(x)


def _beside_unedited(subject: Subject, what: str, edits: list[glasscell.Edit]) -> Comparison:
    plain, _ = subject.layers()
    layer, _ = subject.layers()
    layer.load_state_dict(plain.state_dict())
    right = exact(layer)
    right.engine = "reference"
    x, w = subject.input(), subject.loss_weights()
    x_64 = leaf(x, torch.float64)

    def peer(name: str, module: nn.Module, x: Any, w: Tensor | None):
        return inference(name, module, x) if w is None else training(name, module, x, w)

    mine = peer(OURS, _Edited(layer, edits), x, w)
    w_64 = None if w is None else w.double()
    return Comparison(
        case=f"{subject.case} {'training' if subject.trained else 'inference':<9} {what}",
        ours=mine,
        # not edited, and so not the same answer
        rivals=(replace(peer("unedited", plain, x, w), answer=None),),
        expected=peer("reference, float64", _Edited(right, edits), x_64, w_64).answer,
        shape=subject.shape,
        flops=subject.flops,
        engine=plain.explain_engine(x).engine,
    )
