"""Every engine, layer, dtype, direction, depth and layout against torch.nn and the naive loop.

torch.nn judges outputs, last states and their gradients; the naive loop, in float64, judges
gates, pre-activations and states of every step of every layer, and the gradients of a loss that
lies on all of these at once.
"""

import copy

import pytest
import torch
from tests.cells.zoo import independent
from tests.engines.naive import run_stack
from tests.engines.subjects import DEVICES, NAMES
from tests.nn.pairs import KINDS, flat, initial, leaves
from tests.tolerances import assert_close
from torch.nn.utils.rnn import pack_padded_sequence

SIZES = {  # T, B, I, H; the lengths of the ragged layouts follow from T and B
    "3-17-1-3": (3, 17, 1, 3),
    "17-3-3-3": (17, 3, 3, 3),
    "1-1-17-3": (1, 1, 17, 3),
    "3-3-130-17": (3, 3, 130, 17),
}
LAYOUTS = ("dense", "batch_first", "unbatched", "packed", "packed-unsorted", "lengths",
           "lengths-unsorted", "lengths-batch_first")  # fmt: skip
SHAPES = [(1, False), (1, True), (3, False), (2, True)]  # num_layers, bidirectional

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.parametrize("device", DEVICES),
]


def lengths_of(layout: str, T: int, B: int) -> list[int] | None:
    if layout not in ("packed", "packed-unsorted") and not layout.startswith("lengths"):
        return None
    lengths = [max(1, T - 2 * b) for b in range(B)]
    return lengths if layout in ("packed", "lengths") else lengths[1:] + lengths[:1]


class Case:
    """One layer, its input in one layout, and how to run anything on it."""

    def __init__(self, kind, layout, size, shape, dtype, engine, device):
        T, B, I, H = SIZES[size]
        self.layout, self.dtype, self.device = layout, dtype, device
        self.batch_first = "batch_first" in layout
        self.B = 1 if layout == "unbatched" else B
        self.lengths = lengths_of(layout, T, B) or [T] * self.B
        options = {"num_layers": shape[0], "bidirectional": shape[1]}
        self.ours, self.theirs = KINDS[kind].pair(
            I, H, batch_first=self.batch_first, engine=engine, **options
        )
        self.ours, self.theirs = self.ours.to(dtype), self.theirs.to(dtype)
        self.x = torch.randn(T, self.B, I).to(dtype).requires_grad_()
        self.hx = initial(self.theirs, self.B, dtype)

    def input(self):
        """x (T, B, I) as the layout has it, and the other arguments."""
        x = self.x.to(self.device)
        hx = tuple(h.to(self.device) for h in leaves(self.x, self.hx)[1:])
        if self.layout == "unbatched":
            x, hx = x.squeeze(1), tuple(h.squeeze(1) for h in hx)
        x = x.transpose(0, 1) if self.batch_first else x
        hx = hx if len(hx) == 2 else hx[0]
        if self.layout.startswith("packed"):
            x = pack_padded_sequence(
                x, torch.tensor(self.lengths), enforce_sorted=self.layout == "packed"
            )
        return x, hx

    def run(self):
        self.ours.to(self.device)
        x, hx = self.input()
        if not self.layout.startswith("lengths"):
            return self.ours(x, hx)
        return self.ours(x, hx, lengths=torch.tensor(self.lengths))

    def run_theirs(self):
        """On the CPU; ragged input always packed."""
        x, hx = self.x, self.hx
        if self.layout == "unbatched":
            squeezed = tuple(h.squeeze(1) for h in leaves(x, hx)[1:])
            return self.theirs(x.squeeze(1), squeezed if len(squeezed) == 2 else squeezed[0])
        x = x.transpose(0, 1) if self.batch_first else x
        if lengths_of(self.layout, *self.x.shape[:2]) is None:
            return self.theirs(x, hx)
        lengths = torch.tensor(self.lengths)
        is_sorted = self.layout == "packed"
        packed = pack_padded_sequence(x, lengths, self.batch_first, enforce_sorted=is_sorted)
        output, last = self.theirs(packed, hx)
        if self.layout.startswith("packed"):
            return output, last
        padded, _ = torch.nn.utils.rnn.pad_packed_sequence(
            output, self.batch_first, total_length=self.x.shape[0]
        )
        return padded, last


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: f"L{s[0]}{'-both' if s[1] else ''}")
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("engine", NAMES)
def test_against_torch(engine, kind, dtype, shape, layout, device):
    size = list(SIZES)[(LAYOUTS.index(layout) + SHAPES.index(shape)) % len(SIZES)]
    case = Case(kind, layout, size, shape, dtype, engine, device)
    mine, theirs = flat(case.run()), flat(case.run_theirs())
    for a, b, name in zip(mine, theirs, ("output", "h_n", "c_n"), strict=False):
        assert a.dtype == dtype
        assert_close(a, b, name)
    weights = dict(case.ours.named_parameters())
    inputs = leaves(case.x, case.hx)
    ds = [torch.randn_like(each) for each in theirs]
    found = torch.autograd.grad(
        mine, [*inputs, *weights.values()], [d.to(device) for d in ds]
    )  # every weight is used, or this raises
    expected = torch.autograd.grad(theirs, [*inputs, *case.theirs.parameters()], ds)
    names = [*("x", "h_0", "c_0")[: len(inputs)], *weights]
    for a, b, name in zip(found, expected, names, strict=True):
        assert_close(a, b, f"dL/d{name}", kind="gradient")


RECORDED = [
    pytest.param(kind, dtype, layout, id=f"{kind}-{dtype}-{layout}")
    for kind in KINDS
    for dtype in (torch.float64, torch.float32, torch.bfloat16)
    for layout in LAYOUTS
    # in half precision relu's slope may jump, and two layouts tell what there is to tell
    if dtype.itemsize > 2 or (layout in ("dense", "lengths") and kind != "rnn-relu")
]


@pytest.mark.parametrize(("kind", "dtype", "layout"), RECORDED)
@pytest.mark.parametrize("shape", [(1, False), (3, True)], ids=["L1", "L3-both"])
@pytest.mark.parametrize("engine", NAMES)
def test_records_against_the_naive_loop(engine, kind, dtype, shape, layout, device):
    size = "17-3-3-3" if shape[0] == 1 else "3-17-1-3"
    case = Case(kind, layout, size, shape, dtype, engine, device)
    records = {}
    case.ours.register_record_hook(
        lambda _, found: records.update({each.name: each for each in found})
    )
    mine = flat(case.run())

    exact = [t.detach().double().requires_grad_() for t in leaves(case.x, case.hx)]
    weights = list(case.ours.parameters())
    oracle_layer = copy.deepcopy(case.ours).cpu().double()
    D = 2 if shape[1] else 1
    models = [
        [independent(oracle_layer.cell, oracle_layer.weights(l, bool(d))) for d in range(D)]
        for l in range(shape[0])
    ]
    oracle = run_stack(models, exact[0], case.lengths, *exact[1:])

    def callers(padded):
        padded = padded.squeeze(1) if layout == "unbatched" else padded
        return padded.transpose(0, 1) if case.batch_first else padded

    assert list(records) == list(oracle.layers)
    values, expected = [*mine], []
    for name, layer in oracle.layers.items():
        record, shown = records[name].record, records[name].layout
        for quantity in ("h", "gates", "pre", "c"):
            value, right = getattr(record, quantity), getattr(layer, quantity)
            assert (value is None) == (right is None)
            if value is not None:
                values.append(shown.padded(value))
                expected.append(callers(right))
                assert_close(values[-1], expected[-1], f"{name}.{quantity}", dtype=dtype)

    # One loss on everything at once. Rounding in half precision is judged by one layer.
    if dtype == torch.bfloat16 and shape[0] > 1:
        return
    if layout.startswith("packed"):
        shown = records["l0"].layout
        values[0] = shown.padded(values[0])
    squeeze = layout == "unbatched"
    states = [s.squeeze(1) if squeeze else s for s in (oracle.h_n, oracle.c_n) if s is not None]
    expected = [callers(oracle.output), *states, *expected]
    ds = [torch.randn_like(each).to(dtype) for each in expected]
    wanted = [*leaves(case.x, case.hx), *weights]
    found = torch.autograd.grad(values, wanted, [d.to(device) for d in ds])
    right = torch.autograd.grad(
        expected, [*exact, *oracle_layer.parameters()], [d.double() for d in ds]
    )
    for k, (a, b) in enumerate(zip(found, right, strict=True)):
        assert_close(a, b, f"gradient {k}", dtype=dtype, kind="gradient")
