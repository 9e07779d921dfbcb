"""A traced `torch.nn.LSTM`, unmodified, beside the loop that people write to see its gates."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

import glasscell
from glasscell.bench.comparison import Comparison
from glasscell.bench.loops import Looped
from glasscell.bench.passes import exact, inference, leaf, training
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject

BATCHES, SIZES = (1, 32), (128, 512)


def black_box(scale: Scale) -> Iterator[Comparison]:
    """Inference and training of an nn.LSTM of which every gate is wanted."""
    for B, H in scale.grid(BATCHES, SIZES):
        for trained in (False, True):
            yield _traced(Subject(B, H, scale.T, trained=trained))


class _Traced(nn.Module):
    """A torch.nn layer under `glasscell.trace`; its gates are in `gates` afterwards."""

    gates: Tensor | None = None

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Any:
        with glasscell.trace(self.layer) as trace:
            found = self.layer(x)
        gates = trace["l0"].record.gates
        self.gates = None if gates is None else gates.unflatten(0, x.shape[:2])
        return found


def _traced(subject: Subject) -> Comparison:
    _, layer = subject.layers("auto")
    x, w = subject.input(), subject.loss_weights()
    traced, loop, right = _Traced(layer), Looped(layer), Looped(exact(layer))
    x_64 = leaf(x, right.layer.weight_ih_l0.dtype)

    def peer(name: str, module: _Traced | Looped, x: Any, w: Tensor | None):
        if w is None:
            return inference(name, module, x, lambda: module.gates)
        return training(name, module, x, w, lambda: module.gates)

    return Comparison(
        case=f"{subject.case} {'training' if subject.trained else 'inference'}",
        ours=peer("traced", traced, x, w),
        rivals=(peer("Python loop", loop, x, w),),
        expected=peer("loop, float64", right, x_64, None if w is None else w.double()).answer,
        shape=subject.shape,
        engine="replay",
    )
