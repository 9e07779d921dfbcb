"""dL/dh_t, dL/dc_t and dL/dgate_t of a traced model, against autograd through an unrolled loop."""

from typing import Any

import pytest
import torch
from tests.tolerances import assert_close
from tests.tracing.models import LAYERS, LAYOUTS, Loop, input_in, make
from tests.tracing.oracle import NAMES, kind_of
from torch import Tensor, nn

import glasscell
from glasscell.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

T, B = 6, 5


def unrolled(layer, x: Tensor, lengths: list[int]) -> tuple[Tensor, dict[str, dict[str, list]]]:
    """The layer as a loop over steps and sequences, where every quantity is a tensor of its own.

    Returns:
        The outputs (T, B, D*P), and by layer and quantity the tensors [t][b], (H,) each.
    """
    kind = kind_of(layer)
    H, P = layer.hidden_size, getattr(layer, "proj_size", 0) or layer.hidden_size
    found: dict[str, dict[str, list]] = {}
    for l in range(layer.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: 2 if layer.bidirectional else 1]:

            def weight(name: str, l=l, suffix=suffix) -> Any:
                return getattr(layer, f"{name}_l{l}{suffix}", None)

            names = (*NAMES[kind], *(("cell",) if kind == "lstm" else ()), "hidden")
            of_layer = {name: [[None] * len(lengths) for _ in range(T)] for name in names}
            output = [[x.new_zeros(P)] * len(lengths) for _ in range(T)]
            for b, length in enumerate(lengths):
                h, c = x.new_zeros(P), x.new_zeros(H)
                steps = range(length)
                for t in reversed(steps) if suffix else steps:
                    sums = weight("weight_ih") @ x[t, b]
                    past = weight("weight_hh") @ h
                    if layer.bias:
                        sums, past = sums + weight("bias_ih"), past + weight("bias_hh")
                    if kind == "lstm":
                        parts = (sums + past).chunk(4)
                        i, f, o = (parts[k].sigmoid() * 1 for k in (0, 1, 3))
                        g = parts[2].tanh() * 1
                        c = f * c + i * g
                        m = o * c.tanh()
                        V = weight("weight_hr")
                        h = m * 1 if V is None else V @ m
                        values = (i, f, g, o, c, h)
                    elif kind == "gru":
                        (r_x, z_x, n_x), (r_h, z_h, q) = sums.chunk(3), past.chunk(3)
                        r, z = (r_x + r_h).sigmoid() * 1, (z_x + z_h).sigmoid() * 1
                        n = (n_x + r * q).tanh() * 1
                        h = (1 - z) * n + z * h
                        values = (r, z, n, h)
                    else:
                        relu = getattr(layer, "nonlinearity", "tanh") == "relu"
                        h = (sums + past).relu() if relu else (sums + past).tanh()
                        values = (h, h)
                    for name, value in zip(names, values, strict=True):
                        of_layer[name][t][b] = value
                    output[t][b] = h
            found[f"l{l}{suffix}"] = of_layer
            outputs.append(torch.stack([torch.stack(row) for row in output]))
        x = torch.cat(outputs, -1)
    return x, found


def check(layer, layout: str, trace=None):
    x = torch.randn(T, B, 3, dtype=torch.float64)
    input, lengths = input_in(layout, x)
    x = x[:, : len(lengths)]
    outputs, values = unrolled(layer, x, lengths)
    weights = torch.randn_like(outputs)
    for b, length in enumerate(lengths):
        weights[length:, b] = 0
    with glasscell.trace(layer, gradients=True) as trace:
        output = layer(input)[0]
    if isinstance(output, nn.utils.rnn.PackedSequence):
        output = nn.utils.rnn.pad_packed_sequence(output)[0]
    elif layout == "unbatched":
        output = output.unsqueeze(1)
    elif layout == "batch_first":
        output = output.transpose(0, 1)
    assert_close(output, outputs)
    (output * weights).sum().backward()
    for name, found in trace.items():
        for quantity, rows in values[name].items():
            for b, length in enumerate(lengths):
                leaves = [rows[t][b] for t in range(length)]
                wanted = torch.autograd.grad(
                    (outputs * weights).sum(), leaves, retain_graph=True, allow_unused=True
                )
                wanted = [
                    torch.zeros_like(leaf) if d is None else d
                    for leaf, d in zip(leaves, wanted, strict=True)
                ]
                mine = found.of_sequence(found.grad.tokens(quantity), b)
                assert_close(mine, torch.stack(wanted), f"{name} {quantity}", kind="gradient")
        assert found.grad[quantity].shape == found[quantity].shape


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", LAYERS)
def test_every_quantity_of_every_layer(name, layout):
    layer = make(name, num_layers=2, bidirectional=True, batch_first=layout == "batch_first",
                 dtype=torch.float64)  # fmt: skip
    check(layer, layout)


@pytest.mark.parametrize("name", ["glasscell.LSTM", "glasscell.LSTM-projected", "glasscell.GRU"])
@pytest.mark.parametrize("engine", ["native", "reference", "torch"])
def test_every_engine(name, engine):
    layer = make(name, num_layers=2, dtype=torch.float64, engine=engine)
    check(layer, "packed-unsorted")


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_cells_called_step_by_step(library, kind):
    cell = getattr(library, f"{kind}Cell")(3, 4, dtype=torch.float64)
    layer = getattr(glasscell, kind)(3, 4, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    x = torch.randn(T, B, 3, dtype=torch.float64)
    weights = torch.randn(T, B, 4, dtype=torch.float64)
    loop = Loop(cell)
    with (
        glasscell.trace(layer, gradients=True) as wanted,
        glasscell.trace(loop, gradients=True) as trace,
    ):
        (layer(x)[0] * weights).sum().backward()
        output = loop(x)
        (output * weights).sum().backward()
    for quantity in trace["cell"].quantities:
        assert_close(
            trace["cell"].grad[quantity], wanted["l0"].grad[quantity], quantity, kind="gradient"
        )


# Along which way


@pytest.mark.parametrize("library", [glasscell, nn])
def test_carried_and_through_gates(library):
    """The product of forget gates, and the rest, by hand."""
    lstm = library.LSTM(3, 4, bidirectional=True, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    with glasscell.trace(lstm, gradients=True) as trace:
        lstm(x)[0].square().sum().backward()
    for name, ahead in (("l0", 1), ("l0_reverse", -1)):
        layer = trace[name]
        d, f = layer.grad.cell, layer.forget_gate
        expected = torch.zeros_like(d)
        for t in range(T):
            if 0 <= t + ahead < T:
                expected[t] = f[t + ahead] * d[t + ahead]
        assert_close(layer.grad.carried, expected, kind="gradient")
        assert_close(layer.grad.carried + layer.grad.through_gates, d, kind="gradient")
        # what comes in through h_t = o * tanh(c) is all the rest
        tanh_c = layer.cell.tanh()
        through_h = layer.grad.hidden * layer.output_gate * (1 - tanh_c**2)
        assert_close(layer.grad.through_gates, through_h, kind="gradient")


def test_a_gru_carries_along_its_hidden_state():
    gru = glasscell.GRU(3, 4, dtype=torch.float64)
    with glasscell.trace(gru, gradients=True) as trace:
        gru(torch.randn(T, B, 3, dtype=torch.float64), lengths=[6, 2, 6, 1, 4])[0].sum().backward()
    layer = trace["l0"]
    d, z = layer.grad.hidden, layer.update_gate
    assert_close(layer.grad.carried[:-1], z[1:] * d[1:], kind="gradient")
    assert (layer.grad.carried[-1] == 0).all()
    assert_close(layer.grad["carried"] + layer.grad["through_gates"], d, kind="gradient")


def test_a_simple_rnn_carries_nothing():
    rnn = glasscell.RNN(3, 4)
    with glasscell.trace(rnn, gradients=True) as trace:
        rnn(torch.randn(T, B, 3))[0].sum().backward()
    with pytest.raises(InputError, match="carried along it"):
        _ = trace["l0"].grad.carried
