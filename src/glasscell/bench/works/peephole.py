"""Training an LSTM with peepholes, which torch.nn does not have: beside a loop in Python."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from glasscell import ops
from glasscell.bench.comparison import Comparison
from glasscell.bench.loops import lstm_loop
from glasscell.bench.passes import OURS, exact, leaf, training
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject
from glasscell.cells import LSTM, Weights, with_peepholes
from glasscell.engines import ENGINES, Call, Packing, choose

BATCHES, SIZES = (16, 64), (128, 256, 512)
CELL = with_peepholes(LSTM())


def training_steps(scale: Scale) -> Iterator[Comparison]:
    """A training step, every gate kept, beside a Python loop that keeps none."""
    for B, H in scale.grid(BATCHES, SIZES):
        yield _beside_loop(Subject(B, H, scale.T, trained=True))


class _Peephole(nn.Module):
    """A layer of peephole LSTM cells."""

    def __init__(self, H: int) -> None:
        super().__init__()

        def drawn(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.empty(shape).uniform_(-(H**-0.5), H**-0.5))

        self.W, self.U, self.b_x, self.b_h = (
            drawn(4 * H, H),
            drawn(4 * H, H),
            drawn(4 * H),
            drawn(4 * H),
        )
        self.p = drawn(3, H)


class _Ours(_Peephole):
    engine = "auto"
    gates: Tensor | None = None  # (T, B, G, H) of the last run

    def call(self, x: Tensor) -> Call:
        T, B, H = x.shape
        zeros = x.new_zeros(B, H)
        weights = Weights(self.W, self.U, self.b_x, self.b_h, p=self.p)
        tokens, packing = x.flatten(0, 1), Packing.dense(T, B)
        return Call(CELL, weights, tokens, packing, zeros, zeros, record=True)

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        record = ops.run(self.call(x), self.engine)
        assert record.gates is not None
        self.gates = record.gates.unflatten(0, x.shape[:2])
        return record.h.unflatten(0, x.shape[:2]), ()


class _Loop(_Peephole):
    gates_kept = False
    gates: Tensor | None = None

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[()]]:
        weights = self.W, self.U, self.b_x, self.b_h, self.p
        output, self.gates = lstm_loop(x, *weights, gates_kept=self.gates_kept)
        return output, ()


def _beside_loop(subject: Subject) -> Comparison:
    ours, loop = _Ours(subject.H), _Loop(subject.H)
    loop.load_state_dict(ours.state_dict())
    x, w = subject.input(), subject.loss_weights()
    assert isinstance(x, Tensor)
    assert w is not None
    call = ours.call(x)
    if ENGINES["native"].refuses(call) is None:
        ours.engine = "native"
    right = exact(loop)
    right.gates_kept = True
    x_64, w_64 = leaf(x, torch.float64), w.double()
    return Comparison(
        case=subject.case,
        ours=training(OURS, ours, x, w, lambda: ours.gates),
        rivals=(training("Python loop", loop, x, w),),
        expected=training("loop, float64", right, x_64, w_64, lambda: right.gates).answer,
        shape=subject.shape,
        flops=subject.flops,
        engine=choose(call, ours.engine).name,
    )
