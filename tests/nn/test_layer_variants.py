"""Layers of every variant: stacks, directions, states, files, streams, traces, and bad options."""

import copy
import pickle

import pytest
import torch
from tests.cells.zoo_of_variants import NAMES, SQUARE
from tests.tolerances import assert_close, assert_same_bits
from torch.nn.utils.rnn import pack_padded_sequence

import glasscell
from glasscell import cells
from glasscell.cells import spec
from glasscell.errors import InputError

I, H, T, B = 6, 6, 7, 3
LENGTHS = [7, 2, 5]


def layer_of(name: str, **options) -> glasscell.Recurrent:
    torch.manual_seed(len(name))
    options = {"num_layers": 2, "bidirectional": name not in SQUARE, **options}
    return glasscell.Recurrent(I, H, cell=name, dtype=torch.float64, **options)


def tuple_of(states):
    return states if isinstance(states, tuple) else (states,)


@pytest.mark.parametrize("name", NAMES)
def test_a_stack_is_its_layers_and_directions_one_by_one(name):
    layer = layer_of(name)
    D = 2 if layer.bidirectional else 1
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, states = layer(x, lengths=LENGTHS)
    below = x
    last = []
    for l in range(2):
        outputs = []
        for reverse in range(D):
            columns = below.shape[-1]
            alone = glasscell.Recurrent(columns, H, cell=name, dtype=torch.float64)
            suffix = "_reverse" if reverse else ""
            alone.load_state_dict(
                {
                    each: layer.state_dict()[each.replace("_l0", f"_l{l}{suffix}")]
                    for each in alone.state_dict()
                }
            )
            for b, length in enumerate(LENGTHS):
                sequence = below[:length, b : b + 1]
                h, end = alone(sequence.flip(0) if reverse else sequence)
                outputs.append((reverse, b, h.flip(0) if reverse else h))
                last.append((l, reverse, b, [each[0, 0] for each in tuple_of(end)]))
        below = torch.zeros(T, B, D * H, dtype=torch.float64)
        for reverse, b, h in outputs:
            below[: len(h), b, reverse * H : (reverse + 1) * H] = h[:, 0]
    assert_close(output, below, "output")
    for l, reverse, b, ends in last:
        for state, end in zip(tuple_of(states), ends, strict=True):
            assert_close(state[l * D + reverse, b], end, "last state")


@pytest.mark.parametrize("name", NAMES)
def test_packed_padded_single_and_batch_first_are_the_same(name):
    layer = layer_of(name)
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, states = layer(x, lengths=LENGTHS)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    padded, lengths = torch.nn.utils.rnn.pad_packed_sequence(layer(packed)[0])
    assert_close(padded, output)
    assert lengths.tolist() == LENGTHS
    single, ends = layer(x[:2, 1])
    assert_close(single, output[:2, 1])
    for state, end in zip(tuple_of(states), tuple_of(ends), strict=True):
        assert_close(end, state[:, 1])
    turned = layer_of(name, batch_first=True)
    turned.load_state_dict(layer.state_dict())
    assert_close(turned(x.transpose(0, 1), lengths=LENGTHS)[0].transpose(0, 1), output)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_layer_returns_it_goes_on_from(name):
    layer = layer_of(name, bidirectional=False)
    x = torch.randn(T, B, I, dtype=torch.float64)
    whole, end = layer(x)
    first, between = layer(x[:3])
    second, last = layer(x[3:], between)
    assert_close(torch.cat((first, second)), whole)
    for a, b in zip(tuple_of(last), tuple_of(end), strict=True):
        assert_close(a, b)
    if layer.cell.has_cell_state:
        assert end[1].shape == (2, B, layer.cell.C * H)


@pytest.mark.parametrize("zoneout", [0.0, 0.2])
@pytest.mark.parametrize("name", NAMES)
def test_a_stream_takes_the_layers_steps(name, zoneout, tmp_path):
    layer = layer_of(name, bidirectional=False, zoneout=zoneout).eval()
    x = torch.randn(T, B, I, dtype=torch.float64)
    expected, _ = layer(x)
    stream = glasscell.stream(layer)
    for t in range(3):
        assert_close(stream.step(x[t]), expected[t])
    stream.save(tmp_path / "state")
    other = glasscell.stream(layer)
    other.restore(tmp_path / "state")
    fork = stream.fork()
    for t in range(3, T):
        steps = [each.step(x[t]) for each in (stream, other, fork)]
        for step in steps:
            assert_close(step, expected[t])


@pytest.mark.parametrize("name", NAMES)
def test_copies_files_and_names(name):
    layer = layer_of(name)
    x = torch.randn(T, B, I, dtype=torch.float64)
    expected, _ = layer(x)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert_same_bits(other(x)[0], expected)
    again = glasscell.Recurrent(
        I,
        H,
        2,
        bidirectional=layer.bidirectional,
        cell=spec.write(layer.cell),
        dtype=torch.float64,
    )
    again.load_state_dict(layer.state_dict())
    assert_same_bits(again(x)[0], expected)
    assert repr(layer).endswith(f"cell='{name}')") or name == "np"
    assert cells.named(name) == layer.cell
    assert cells.named(layer.cell) is layer.cell


@pytest.mark.parametrize("name", NAMES)
def test_tracing_changes_nothing_and_shows_all(name):
    layer = layer_of(name)
    x = torch.randn(T, B, I, dtype=torch.float64)
    expected, _ = layer(x, lengths=LENGTHS)
    with glasscell.trace(layer, gradients=True) as trace:
        output, _ = layer(x, lengths=LENGTHS)
    assert_same_bits(output, expected)
    output.square().sum().backward()
    shown = trace["l1"]
    for quantity in shown.quantities:
        assert shown[quantity].shape == (T, B, H), quantity
        assert getattr(shown.grad, quantity).isfinite().all(), quantity
        assert not shown[quantity][2:, 1].any(), "after a sequence's end"
    for gate in shown.gate_maps:
        assert shown.tokens(f"pre.{gate.name}").isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_an_edit_reaches_every_quantity(name):
    layer = layer_of(name, bidirectional=False, num_layers=1)
    x = torch.randn(T, B, I, dtype=torch.float64)
    plain, _ = layer(x)
    for quantity in layer.cell.quantities:
        change = glasscell.edit(layer, "l0", quantity, units=[1], steps=[2], set=0.3)
        with change, glasscell.trace(layer) as trace:
            edited, _ = layer(x)
        assert (trace["l0"][quantity][2, :, 1] == 0.3).all(), quantity
        assert_same_bits(edited[:2], plain[:2])
        assert not torch.equal(edited, plain), quantity


@pytest.mark.parametrize("name", ["coupled", "slstm", "mut3", "layer_norm_gru", "fgr", "indrnn"])
def test_compiled_whole(name):
    layer = layer_of(name, bidirectional=False)
    x = torch.randn(T, B, I, dtype=torch.float64)
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    for a, b in zip(tuple_of(compiled(x)[1]), tuple_of(layer(x)[1]), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize(
    "options", [{"recurrent_dropout": 0.2}, {"weight_dropout": 0.2}, {"stochastic": ("forget",)}]
)
def test_what_is_noisy_in_training_alone_is_compiled_whole_outside_of_it(options):
    layer = layer_of("lstm", **options).eval()
    x = torch.randn(T, B, I, dtype=torch.float64)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    assert_close(compiled(x)[0], layer(x)[0])
    layer.train()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="in training with noise"):  # type: ignore[attr-defined]
        compiled(x)
    torch.manual_seed(0)
    beside = torch.compile(layer, backend="eager")(x)[0]
    torch.manual_seed(0)
    assert_same_bits(beside, layer(x)[0])


def test_a_stream_goes_on_from_its_own_variants_state_alone(tmp_path):
    x = torch.randn(B, I, dtype=torch.float64)
    streams = {}
    for name in ("lstm", "coupled", "slstm"):
        streams[name] = glasscell.stream(layer_of(name, bidirectional=False))
        streams[name].step(x)
    streams["lstm"].save(tmp_path / "state")
    for name, what in (
        ("coupled", "lstm.forget_gate=None, .*, got that of lstm"),
        ("slstm", "slstm, got that of lstm"),
    ):
        with pytest.raises(InputError, match=f"expected the state of {what}$"):
            streams[name].restore(tmp_path / "state")
    streams["lstm"].restore(tmp_path / "state")


@pytest.mark.parametrize("name", ["peephole", "janet", "slstm", "layer_norm_lstm", "fgr"])
def test_projected_layers(name):
    """P numbers are shown, to the layer above too, and what is carried stays C*H wide."""
    layer = layer_of(name, proj_size=2)
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, (h_n, c_n) = layer(x, lengths=LENGTHS)
    assert output.shape == (T, B, 4)
    assert h_n.shape == (4, B, 2)
    assert c_n.shape == (4, B, layer.cell.C * H)
    assert layer.weight_hr_l1.shape == (2, H)
    with glasscell.trace(layer) as trace:
        layer(x, lengths=LENGTHS)
    shown = trace["l1"]
    assert shown.hidden.shape == (T, B, 2)
    for state in layer.cell.carried:
        assert shown[state].shape == (T, B, H)
        assert getattr(shown, state) is not None


def test_what_is_carried_beside_a_cell_state_is_read_by_name():
    x = torch.randn(T, B, I, dtype=torch.float64)
    layers = {name: layer_of(name, bidirectional=False) for name in ("slstm", "fgr")}
    seen = {}
    for name, layer in layers.items():
        with glasscell.trace(layer) as trace:
            _, (_, c_n) = layer(x)
        seen[name] = trace["l1"], c_n[1]
    shown, last = seen["slstm"]
    for k, state in enumerate(("cell", "normalizer", "stabilizer")):
        assert_same_bits(shown[state][-1], last[:, k * H : (k + 1) * H])
    log_f, i_pre = shown.pre.forget_gate.sigmoid().log(), shown.pre.input_gate
    before = torch.cat((torch.zeros(1, B, H).double(), shown.stabilizer[:-1]))
    assert_close(shown.stabilizer, torch.maximum(log_f + before, i_pre))
    assert_close(shown.hidden, shown.output_gate * shown.cell / shown.normalizer)
    shown, last = seen["fgr"]
    for k, gate in enumerate(("input_gate", "forget_gate", "output_gate"), 1):
        assert_same_bits(shown[f"previous_{gate}"], shown[gate])  # as the next step will read it
        assert_same_bits(shown[gate][-1], last[:, k * H : (k + 1) * H])
    assert shown.initial_cell.shape == (B, H)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: glasscell.LSTM(3, 4, cell="pephole"), "did you mean peephole"),
        (lambda: glasscell.LSTM(3, 4, cell="gru"), "gru has no cell state.*glasscell.GRU"),
        (lambda: glasscell.GRU(3, 4, cell="janet"), "janet has a cell state.*glasscell.LSTM"),
        (
            lambda: glasscell.Recurrent(3, 4, cell="mut1"),
            r"input_size == hidden_size.*Linear\(3, 4",
        ),
        (lambda: glasscell.Recurrent(3, 4, cell="gru", proj_size=2), "a GRU has no projection"),
        (lambda: glasscell.LSTM(3, 4, cell="lstm(forget_gate=7)"), "forget_gate"),
        (lambda: glasscell.LSTM(3, 4, stochastic=("candidate",)), "gives no odds|has the gates"),
        (lambda: glasscell.LSTM(3, 4, stochastic=("memory",)), "has the gates input, forget"),
        (lambda: glasscell.LSTM(3, 4, stochastic={"forget": "coin"}), 'expected "bernoulli"'),
        (lambda: glasscell.LSTM(3, 4, zoneout=1.0), "zoneout: expected at least 0 and less than 1"),
        (
            lambda: glasscell.LSTM(3, 4, zoneout=(0.1, 0.1, 0.1)),  # type: ignore[arg-type]
            "zoneout: expected one rate, or",
        ),
        (lambda: glasscell.GRU(3, 4, zoneout=(0.1, 0.1)), "zoneout: a GRU has no cell state"),
        (lambda: glasscell.LSTM(3, 4, recurrent_dropout=-0.1), "recurrent_dropout"),
        (
            lambda: glasscell.LSTM(3, 4, weight_dropout="half"),  # type: ignore[arg-type]
            "weight_dropout: expected a prob",
        ),
        (lambda: glasscell.LSTM(3, 4, init="zeros"), 'init: expected "torch" or "glorot"'),
        (lambda: glasscell.LSTM(3, 4, chrono=50, forget_bias=1.0), "chrono.*forget_bias"),
        (lambda: glasscell.LSTM(3, 4, bias=False, chrono=50), "bias"),
        (lambda: glasscell.RNN(3, 4, forget_bias=1.0), "forget_bias|keeps"),
    ],
)
def test_bad_options_say_what_is_wrong(make, message):
    with pytest.raises(InputError, match=message):
        make()


def test_something_that_is_no_cell():
    with pytest.raises(TypeError, match="cell: expected a variant's name"):
        glasscell.LSTM(3, 4, cell=4)  # type: ignore[arg-type]
