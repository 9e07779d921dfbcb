"""Cells whose gates read no hidden state, all steps at once: as exact as one step after another."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.engines.calls import TARGETS, exact, gradients, loss_on
from tests.engines.subjects import DEVICES
from tests.tolerances import assert_close
from torch import Tensor
from torch.func import grad, jacfwd, vmap

import glasscell
from glasscell import EngineError, ops
from glasscell.cells import GRU, LSTM, RNN, GateMap, Weights, named
from glasscell.cells.gates import POSITIVE
from glasscell.engines import ENGINES, Call, Packing, choose
from glasscell.engines.call import GradientRecord
from glasscell.engines.edits import RunEdit
from glasscell.engines.noise import RunNoise
from glasscell.engines.replay import Scan, scan
from glasscell.engines.scan import pairwise_scan

DTYPES = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
PACKINGS = {
    "dense": [6] * 3,
    "ragged": [7, 7, 5, 2, 1],
    "one": [1],
    "one-step": [1, 1, 1],
    "one-sequence": [17],
}


def reading_x(**changes):
    """The LSTM whose gates read x alone."""
    plain = LSTM()
    gates = {
        name: replace(getattr(plain, name), reads=("x",))
        for name in ("input_gate", "forget_gate", "candidate", "output_gate")
    }
    return replace(plain, **{**gates, **changes})


CELLS = {
    "min_lstm": named("min_lstm"),
    "min_gru": named("min_gru"),
    "all-gates": reading_x(),
    "projected": reading_x(),
    "nothing-forgotten": reading_x(forget_gate=None),
    "coupled": reading_x(forget_gate=None, sharing="complement"),
    "janet": reading_x(input_gate=None, output_gate=None, sharing="complement", beta=1.0),
}


def call_of(name: str, lengths: list[int], dtype: torch.dtype, reverse: bool = False, I=3, H=18):
    """A recorded call with random tensors, all of them leaves, and these tensors."""
    cell, P = CELLS[name], 5 if name == "projected" else H
    packing = Packing.from_lengths(torch.tensor(lengths))
    shapes = cell.shapes(I, H, P)
    given = [shapes.get(letter) for letter in Weights._fields]
    shapes = [(packing.N, I), (packing.B, P), (packing.B, H) if cell.has_cell_state else None]
    tensors = [
        None if shape is None else torch.randn(shape).to(dtype).requires_grad_()
        for shape in (*shapes, *given)
    ]
    return on(cell, packing, reverse, tensors), tensors


def on(cell, packing: Packing, reverse: bool, tensors: list) -> Call:
    x, h_0, c_0, *weights = tensors
    return Call(cell, Weights(*weights), x, packing, h_0, c_0, reverse, record=True)


def one_by_one(chain: Sequence[Tensor], lengths: list[int], reverse: bool) -> np.ndarray:
    """The states of f, u, c_0 in NumPy, sequence by sequence."""
    f, u, c_0 = (tensor.detach().numpy() for tensor in chain)
    offsets = Packing.from_lengths(torch.tensor(lengths)).offsets
    c = np.zeros_like(u)
    for b, length in enumerate(lengths):
        state = c_0[b]
        for t in range(length)[:: -1 if reverse else 1]:
            row = offsets[t] + b
            state = c[row] = f[row] * state + u[row]
    return c


def chain(lengths: list[int], H: int = 3) -> tuple[Tensor, Tensor, Tensor, Packing]:
    packing = Packing.from_lengths(torch.tensor(lengths))
    f = torch.rand(packing.N, H, dtype=torch.float64, requires_grad=True)
    u = torch.randn(packing.N, H, dtype=torch.float64, requires_grad=True)
    c_0 = torch.randn(packing.B, H, dtype=torch.float64, requires_grad=True)
    return f, u, c_0, packing


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("T", [*range(1, 10), 16, 17, 130])
def test_every_number_of_steps(T, reverse):
    f, u, c_0, packing = chain([T, T])
    c = pairwise_scan(f, u, c_0, packing, reverse)
    assert_close(c, torch.from_numpy(one_by_one((f, u, c_0), [T, T], reverse)))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("lengths", PACKINGS.values(), ids=PACKINGS)
def test_every_packing_and_its_gradients(lengths, reverse):
    f, u, c_0, packing = chain(lengths)
    c = Scan.apply(f, u, c_0, packing, reverse, pairwise_scan)
    assert_close(c, torch.from_numpy(one_by_one((f, u, c_0), lengths, reverse)))
    d = torch.randn_like(c)
    plain = scan(f, u, c_0, packing, reverse)  # whose gradients are autograd's
    expected = torch.autograd.grad(plain, (f, u, c_0), d)
    for found, right in zip(torch.autograd.grad(c, (f, u, c_0), d), expected, strict=True):
        assert_close(found, right, kind="gradient")


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_gradients_of_gradients(reverse):
    f, u, c_0, packing = chain([4, 3, 1], 2)
    run = lambda f, u, c_0: Scan.apply(f, u, c_0, packing, reverse, pairwise_scan)  # noqa: E731
    assert torch.autograd.gradgradcheck(run, (f, u, c_0))


KEEPS = {
    "near 0": lambda shape: 1e-3 * torch.rand(shape),
    "near 1": lambda shape: 1 - 1e-3 * torch.rand(shape),
    "0 and 1": lambda shape: torch.bernoulli(torch.full(shape, 0.99)),
    "any": lambda shape: torch.rand(shape),
    "nearly all of it": lambda shape: 1 - 1e-6 * torch.rand(shape),
}


@pytest.mark.parametrize("signed", [False, True], ids=["positive", "signed"])
@pytest.mark.parametrize("keep", KEEPS)
def test_long_sequences_are_as_exact_as_step_by_step(keep, signed):
    T, B, H = 4096, 2, 16
    packing = Packing.dense(T, B)
    f = KEEPS[keep]((T * B, H))
    u = torch.randn(T * B, H)
    u = u if signed else u.abs()
    c_0 = torch.randn(B, H)
    right = scan(f.double(), u.double(), c_0.double(), packing, False)
    size = scan(f.double(), u.double().abs(), c_0.double().abs(), packing, False)  # what was added

    def error(c: Tensor) -> float:
        return float(((c.double() - right).abs() / size).max())

    stepwise = error(scan(f, u, c_0, packing, False))
    assert error(pairwise_scan(f, u, c_0, packing, False)) <= max(stepwise, 4 * 2**-24)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("packing", ["dense", "ragged", "one"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CELLS)
def test_every_result_and_gradient(name, device, dtype, packing, reverse):
    call, tensors = call_of(name, PACKINGS[packing], dtype, reverse)
    doubles = exact(tensors)
    placed = [None if t is None else t.to(device) for t in tensors]
    found = ops.run(on(call.cell, call.packing, reverse, placed), "scan")
    right = ops.run(on(call.cell, call.packing, reverse, doubles), "reference")
    for target in TARGETS:
        value = getattr(found, target)
        assert value is None or value.dtype == dtype
        assert_close(value, getattr(right, target), target, dtype=dtype)
    ds = loss_on(found)
    expected = gradients(right, {target: d.cpu().double() for target, d in ds.items()}, doubles)
    for letter, gradient in gradients(found, ds, tensors).items():
        assert_close(gradient, expected[letter], f"dL/d{letter}", dtype=dtype, kind="gradient")


@pytest.mark.parametrize("how", ["bernoulli", "gumbel"])
@pytest.mark.parametrize("name", ["min_lstm", "min_gru"])
def test_gates_are_drawn_as_everywhere(name, how):
    call, _ = call_of(name, [7, 5, 2], torch.float64)
    drawn = {gate.name: replace(gate, stochastic=how) for gate in call.cell.gates if gate.opens}
    call = call._replace(cell=replace(call.cell, **drawn), noise=RunNoise(seed=3))  # type: ignore[type-var]
    found, right = ops.run(call, "scan"), ops.run(call, "reference")
    undrawn = ops.run(call._replace(noise=None), "scan")
    assert (found.gates != undrawn.gates).any()  # type: ignore[union-attr]
    for target in TARGETS:
        assert_close(getattr(found, target), getattr(right, target), target)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", CELLS)
def test_gradients_of_every_step(name, reverse):
    call, _ = call_of(name, [5, 5, 3, 1], torch.float64, reverse)
    found = []
    for engine in ("scan", "reference"):
        kept = GradientRecord()
        record = ops.run(call._replace(gradients=kept), engine)
        ds = loss_on(record, generator=torch.Generator().manual_seed(1))
        torch.autograd.backward([getattr(record, k) for k in ds], list(ds.values()))
        assert kept.found is not None
        found.append(kept.found)
    for quantity, mine, right in zip(("h", "c", "gates"), *found, strict=True):
        assert_close(mine, right, f"dL/d{quantity}", kind="gradient")


def test_every_weight_gets_a_gradient():
    """Also U, which has no rows: training in parallel processes waits for all of them."""
    layer = glasscell.Recurrent(3, 8, cell="min_gru", engine="scan")
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert layer.weight_hh_l0.shape == (0, 8)
    assert all(weight.grad is not None for weight in layer.parameters())


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
def test_transforms():
    layer = glasscell.Recurrent(3, 4, cell="min_lstm", engine="scan").double()
    right = glasscell.Recurrent(3, 4, cell="min_lstm", engine="reference").double()
    right.load_state_dict(layer.state_dict())
    x = torch.randn(6, 5, 2, 3, dtype=torch.float64)
    assert_close(vmap(lambda x: layer(x)[0])(x), torch.stack([right(each)[0] for each in x]))
    loss = lambda layer: lambda x: layer(x)[0].square().sum()  # noqa: E731
    assert_close(grad(loss(layer))(x[0]), grad(loss(right))(x[0]), kind="gradient")
    assert_close(jacfwd(loss(layer))(x[0]), grad(loss(right))(x[0]), kind="gradient")


def test_nan_is_not_known_before_its_step():
    layer = glasscell.Recurrent(3, 4, cell="min_gru", engine="scan")
    x = torch.randn(21, 2, 3)
    clean = layer(x)[0]
    for t in range(21):
        broken = x.clone()
        broken[t, 1] = torch.nan
        output, _ = layer(broken)
        assert torch.equal(output[:, 0], clean[:, 0])
        assert torch.equal(output[:t, 1], clean[:t, 1])
        assert output[t:, 1].isnan().all()


def test_the_table_takes_it_before_the_reference(monkeypatch):
    names = list(ENGINES)
    assert names.index("scan") == names.index("reference") - 1
    call, _ = call_of("min_gru", [3, 2], torch.float32)
    monkeypatch.setattr("glasscell.engines.native.kernels", lambda: None)
    assert choose(call).name == "scan"


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        (LSTM(), "the input_gate reads the hidden state"),
        (GRU(), "the reset_gate reads the hidden state"),
        (named("janet"), "the forget_gate reads the hidden state"),
        (RNN(), "it knows LSTMs and GRUs, and this is an RNN"),
        (named("slstm"), "it knows LSTMs and GRUs, and this is an sLSTM"),
        (
            reading_x(forget_gate=replace(LSTM().forget_gate, reads=("x", "c_prev"))),  # type: ignore[type-var]
            "the forget_gate reads the state",
        ),
        (
            reading_x(forget_gate=GateMap("forget_gate", "f", POSITIVE, ("x",))),
            "the forget_gate ends in positive, which may exceed 1",
        ),
    ],
)
def test_what_it_refuses(cell, why):
    call, _ = call_of("min_lstm", [3, 2], torch.float32)
    with pytest.raises(EngineError, match=rf'engine="scan" cannot run this call: {why}'):
        ops.run(call._replace(cell=cell), "scan")


def test_runs_that_it_refuses():
    call, _ = call_of("min_lstm", [3, 2], torch.float32)
    held = call._replace(noise=RunNoise(zoneout=(0.1, 0.0)))
    with pytest.raises(EngineError, match="it knows no zoneout"):
        ops.run(held, "scan")
    tables = torch.ones(1, 18), torch.zeros(1, 18)
    edit = RunEdit("candidate", torch.zeros(5, dtype=torch.int64), *tables)
    with pytest.raises(EngineError, match="edits take one step after the other"):
        ops.run(call._replace(edits=(edit,)), "scan")
    masked = call._replace(noise=RunNoise(mask=torch.zeros_like(call.h_0)))  # nothing reads h
    assert torch.equal(ops.run(masked, "scan").h, ops.run(call, "scan").h)
