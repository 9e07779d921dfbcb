"""glasscell.stream: one step at a time gives what the layer gives over the whole sequence."""

import os
import pickle

import pytest
import torch
from safetensors.torch import save_file
from tests.engines.subjects import NAMES
from tests.tolerances import assert_close, assert_same_bits
from torch.nn.utils.parametrizations import weight_norm

import glasscell
from glasscell import GRU, LSTM, RNN, InputError, stream
from glasscell.engines.packed import kernels
from glasscell.files import WriteError

T, B, I, H = 7, 3, 5, 18
LAYERS = {
    "lstm": lambda **more: LSTM(I, H, **more),
    "gru": lambda **more: GRU(I, H, **more),
    "rnn-relu": lambda **more: RNN(I, H, nonlinearity="relu", **more),
    "stacked": lambda **more: LSTM(I, H, num_layers=3, dropout=0.5, **more),
    "projected": lambda **more: LSTM(I, H, num_layers=2, proj_size=4, **more),
    "no-bias": lambda **more: GRU(I, H, bias=False, **more),
    "float64": lambda **more: LSTM(I, H, dtype=torch.float64, **more),
    "bfloat16": lambda **more: LSTM(I, H, dtype=torch.bfloat16, **more),
}

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def as_tuple(state):
    return state if isinstance(state, tuple) else (state,)


def inputs(layer: glasscell.nn.Recurrent, steps: int = T) -> torch.Tensor:
    return torch.randn(steps, B, I, dtype=layer.weight_ih_l0.dtype)


@pytest.mark.parametrize("engine", ["auto", *NAMES])
@pytest.mark.parametrize("kind", LAYERS)
def test_steps_are_the_steps_of_the_whole_sequence(kind, engine):
    layer = LAYERS[kind](engine=engine).eval()
    x = inputs(layer)
    s = stream(layer)
    outputs = torch.stack([s.step(x_t) for x_t in x])
    expected, last = layer(x)
    assert_close(outputs, expected)
    for mine, theirs in zip(as_tuple(s.state), as_tuple(last), strict=True):
        assert_close(mine, theirs)
    assert s.steps == T
    assert not outputs.requires_grad


@pytest.mark.skipif(not kernels(), reason="the kernels were not compiled")
@pytest.mark.parametrize("kind", [kind for kind in LAYERS if kind != "bfloat16"])
def test_with_the_native_engine_even_the_bits_are_the_same(kind):
    layer = LAYERS[kind](engine="native").eval()
    x = inputs(layer)
    s = stream(layer)
    outputs = torch.stack([s.step(x_t) for x_t in x])
    with torch.no_grad():
        expected, last = layer(x)
    assert_same_bits(outputs, expected)
    for mine, theirs in zip(as_tuple(s.state), as_tuple(last), strict=True):
        assert_same_bits(mine, theirs)


def test_a_single_sequence_has_no_batch():
    layer = LSTM(I, H)
    s, x = stream(layer), torch.randn(4, I)
    assert_close(torch.stack([s.step(x_t) for x_t in x]), layer(x)[0])


def test_results_are_left_alone_by_later_steps():
    layer = LSTM(I, H, num_layers=2)
    s, x = stream(layer), inputs(layer)
    first = s.step(x[0])
    kept, h_kept = first.clone(), s.state[0]
    copy = h_kept.clone()
    s.step(x[1])
    assert_same_bits(first, kept)
    assert_same_bits(h_kept, copy)


@pytest.mark.parametrize("how", ["transposed", "sliced", "expanded"])
def test_steps_that_are_not_contiguous(how):
    layer = LSTM(I, H)
    x = {
        "transposed": torch.randn(I, B).T,
        "sliced": torch.randn(B, 2 * I)[:, ::2],
        "expanded": torch.randn(1, I).expand(B, I),
    }[how]
    assert_close(stream(layer).step(x), stream(layer).step(x.contiguous()))


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_forks_go_their_own_way(engine):
    layer = LSTM(I, H, num_layers=2, engine=engine)
    x, y = inputs(layer), inputs(layer)
    s = stream(layer)
    for x_t in x[:3]:
        s.step(x_t)
    other = s.fork()
    assert other.steps == 3
    mine = [s.step(x_t) for x_t in x[3:]]
    theirs = [other.step(y_t) for y_t in y[3:]]
    assert_close(mine[-1], layer(x)[0][-1])
    assert_close(theirs[-1], layer(torch.cat((x[:3], y[3:])))[0][-1])


def test_a_fork_before_the_first_step_begins_anew():
    s = stream(LSTM(I, H))
    assert s.fork().step(torch.randn(2, I)).shape == (2, H)
    assert s.step(torch.randn(3, I)).shape == (3, H)


@pytest.mark.parametrize("kind", LAYERS)
def test_saved_and_restored(kind, tmp_path):
    layer = LAYERS[kind]().eval()
    x, s = inputs(layer), stream(layer)
    for x_t in x[:4]:
        s.step(x_t)
    s.save(tmp_path / "state.safetensors")
    again = stream(layer)
    again.restore(tmp_path / "state.safetensors")
    assert again.steps == 4
    for x_t in x[4:]:
        assert_same_bits(again.step(x_t), s.step(x_t))


def test_files_that_are_no_state_are_refused_and_change_nothing(tmp_path):
    layer = LSTM(I, H)
    s, x = stream(layer), torch.randn(B, I)
    s.step(x)
    before = s.state
    (tmp_path / "text").write_text("no safetensors")
    save_file({"h": torch.zeros(1)}, tmp_path / "other")
    smaller = stream(LSTM(I, H - 1))
    smaller.step(x)
    smaller.save(tmp_path / "smaller")
    gru = stream(GRU(I, H))
    gru.step(x)
    gru.save(tmp_path / "gru")
    for name, reason in {
        "text": "not the state of a stream",
        "other": "not the state of a stream",
        "smaller": rf"expected \(1, 3, {H}\), got \(1, 3, {H - 1}\)",
        "gru": "expected the state of lstm, got that of gru",
    }.items():
        with pytest.raises(InputError, match=reason):
            s.restore(tmp_path / name)
    with pytest.raises(FileNotFoundError, match="no such file"):
        s.restore(tmp_path / "missing")
    for mine, kept in zip(s.state, before, strict=True):
        assert_same_bits(mine, kept)


@pytest.mark.skipif(os.name != "posix", reason="paths")
def test_a_state_that_cannot_be_written_says_so(tmp_path):
    s = stream(LSTM(I, H))
    with pytest.raises(InputError, match="before the first step"):
        s.save(tmp_path / "state")
    s.step(torch.randn(B, I))
    with pytest.raises(WriteError, match="no such folder"):
        s.save(tmp_path / "missing" / "state")


def test_a_state_can_be_given():
    layer = LSTM(I, H, num_layers=2)
    x = inputs(layer)
    hx = torch.randn(2, B, H), torch.randn(2, B, H)
    s = stream(layer)
    s.state = hx
    assert_close(torch.stack([s.step(x_t) for x_t in x]), layer(x, hx)[0])
    with pytest.raises(InputError, match="expected h and c, got 1 tensors"):
        s.state = hx[0]
    with pytest.raises(InputError, match=r"state: h: expected \(2, B, 18\), got \(3, 18\)"):
        s.state = hx[0][0], hx[1][0]
    with pytest.raises(InputError, match=r"expected torch.float32, got torch.float64"):
        s.state = hx[0].double(), hx[1].double()


def test_reset_forgets():
    layer = LSTM(I, H)
    s, x = stream(layer), inputs(layer)
    first = s.step(x[0])
    s.step(x[1])
    s.reset()
    assert s.steps == 0
    with pytest.raises(InputError, match="none before the first step"):
        _ = s.state
    assert_same_bits(s.step(x[0]), first)
    s.reset()
    assert s.step(torch.randn(2 * B, I)).shape == (2 * B, H)


@pytest.mark.parametrize("change", ["optimizer", "load_state_dict", "new-tensor"])
def test_a_change_of_the_weights_holds_from_the_next_step_on(change):
    layer, other = LSTM(I, H), LSTM(I, H)
    s, x = stream(layer), inputs(layer)
    s.step(x[0])
    state = s.state
    if change == "optimizer":
        layer(x)[0].sum().backward()
        torch.optim.SGD(layer.parameters(), lr=0.1).step()
    elif change == "load_state_dict":
        layer.load_state_dict(other.state_dict())
    else:
        layer.weight_hh_l0 = other.weight_hh_l0
    y = s.step(x[1])
    assert_close(y, layer(x[1:2], state)[0][0])


@pytest.mark.parametrize("engine", ["auto", "reference"])
def test_a_change_of_what_parametrizes_a_weight_holds_too(engine):
    layer = LSTM(I, H, engine=engine)
    weight_norm(layer, "weight_hh_l0")
    s, x = stream(layer), inputs(layer)
    s.step(x[0])
    state = s.state
    with torch.no_grad():
        dict(layer.named_parameters())["parametrizations.weight_hh_l0.original0"].mul_(3)
    assert_close(s.step(x[1]), layer(x[1:2], state)[0][0].detach())


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize(
    ("before", "after"),
    [(torch.float64, torch.float32), (torch.float32, torch.float64)],
    ids=str,
)
def test_a_layer_that_changes_its_precision(before, after, engine):
    layer = LSTM(I, H, dtype=before, engine=engine)
    s, x = stream(layer), torch.randn(2, B, I)
    s.step(x[0].to(before))
    layer.to(after)
    with pytest.raises(InputError, match=r"the stream began in .*reset\(\) begins anew"):
        s.step(x[1].to(after))
    with pytest.raises((InputError, RuntimeError)):
        s.step(x[1].to(before))
    s.reset()
    assert_close(s.step(x[1].to(after)), layer(x[1:2].to(after))[0][0].detach())


def test_a_pickled_stream_goes_on():
    layer = LSTM(I, H)
    s, x = stream(layer), inputs(layer)
    s.step(x[0])
    other = pickle.loads(pickle.dumps(s))
    assert_same_bits(other.step(x[1]), s.step(x[1]))


@pytest.mark.parametrize(
    ("x", "error", "reason"),
    [
        (torch.randn(B, I + 1), InputError, r"x: expected \(B, 5\) or \(5,\), got \(3, 6\)"),
        (torch.randn(2, B, I), InputError, r"x: expected \(B, 5\)"),
        (torch.randn(B, I, 2), InputError, r"x: expected \(B, 5\)"),
        (torch.tensor(1.0), InputError, r"x: expected \(B, 5\)"),
        (torch.randn(B + 1, I), InputError, r"expected 3 sequences.*reset\(\) begins anew"),
        (torch.randn(B, I).double(), InputError, "expected torch.float32"),
        (torch.ones(B, I, dtype=torch.long), InputError, "expected torch.float32"),
        ([1.0], TypeError, "x: expected a Tensor, got list"),
    ],
    ids=["size", "dims", "dims-after", "no-dims", "batch", "float64", "whole-numbers", "list"],
)
def test_wrong_steps_are_refused_and_change_nothing(x, error, reason):
    layer = LSTM(I, H)
    s, good = stream(layer), inputs(layer)
    s.step(good[0])
    with pytest.raises(error, match=reason):
        s.step(x)
    assert s.steps == 1
    assert_close(s.step(good[1]), layer(good)[0][1])


def test_what_cannot_be_streamed():
    with pytest.raises(InputError, match="bidirectional"):
        stream(LSTM(I, H, bidirectional=True))
    with pytest.raises(
        TypeError,
        match=r"layer: expected a glasscell\.LSTM, GRU or RNN, got torch\.nn\.modules\.rnn\.LSTM",
    ):
        stream(torch.nn.LSTM(I, H))  # type: ignore[arg-type]


def test_it_says_where_it_is():
    s = stream(LSTM(I, H))
    assert repr(s) == "Stream(LSTM(5, 18), no sequences yet, 0 steps)"
    s.step(torch.randn(B, I))
    assert repr(s) == "Stream(LSTM(5, 18), 3 sequences, 1 steps)"
