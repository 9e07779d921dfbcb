"""Bad calls: the class torch.nn raises for the same call, and a message that says what is wrong."""

import re
import warnings

import numpy as np
import pytest
import torch
from tests.engines.subjects import NAMES
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import glasscell

T, B, I, H = 5, 3, 4, 6
X = torch.randn(T, B, I)


def states(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.zeros(shape, dtype=dtype)


def packed(size: int = I) -> PackedSequence:
    return pack_padded_sequence(torch.randn(T, B, size), torch.tensor([5, 3, 1]))


# What is called, and what the message must name: the argument, what was expected, what came.
INPUTS = {
    "size": (torch.randn(T, B, I + 1), "input", "4", r"\(5, 3, 5\)"),
    "1 dimension": (torch.randn(I), "input", r"\(T, B, 4\)", r"\(4,\)"),
    "4 dimensions": (torch.randn(1, T, B, I), "input", r"\(T, B, 4\)", r"\(1, 5, 3, 4\)"),
    "unbatched size": (torch.randn(T, I + 1), "input", r"\(T, 4\)", r"\(5, 5\)"),
    "no steps": (torch.randn(0, B, I), "input", "larger than 0", "0"),
    "no steps, unbatched": (torch.randn(0, I), "input", "larger than 0", "0"),
    "float64": (X.double(), "input", "torch.float32", "torch.float64"),
    "bfloat16": (X.bfloat16(), "input", "torch.float32", "torch.bfloat16"),
    "int64": (X.long(), "input", "torch.float32", "torch.int64"),
    "packed size": (packed(I + 1), "input", r"\(N, 4\)", r"\(9, 5\)"),
}
# name -> LSTM's hx, or the GRU's and RNN's where it is h alone
HX = {
    "h batch": ((states(1, 2, H), states(1, B, H)), "h_0", r"\(1, 3, 6\)", r"\(1, 2, 6\)"),
    "c batch": ((states(1, B, H), states(1, 2, H)), "c_0", r"\(1, 3, 6\)", r"\(1, 2, 6\)"),
    "h size": ((states(1, B, 5), states(1, B, H)), "h_0", r"\(1, 3, 6\)", r"\(1, 3, 5\)"),
    "c size": ((states(1, B, H), states(1, B, 5)), "c_0", r"\(1, 3, 6\)", r"\(1, 3, 5\)"),
    "h layers": ((states(2, B, H), states(1, B, H)), "h_0", r"\(1, 3, 6\)", r"\(2, 3, 6\)"),
    "dimensions": ((states(B, H), states(B, H)), "h_0", r"\(1, 3, 6\)", r"\(3, 6\)"),
    "c dimensions": ((states(1, B, H), states(B, H)), "c_0", r"\(1, 3, 6\)", r"\(3, 6\)"),
    "float64": (
        (states(1, B, H, dtype=torch.float64), states(1, B, H, dtype=torch.float64)),
        "h_0", "torch.float32", "torch.float64",
    ),
    "c float64": (
        (states(1, B, H), states(1, B, H, dtype=torch.float64)),
        "c_0", "torch.float32", "torch.float64",
    ),
    "one tensor": (states(1, B, H), "hx", "pair", "Tensor"),
}  # fmt: skip


def error_of(call) -> Exception:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def assert_like_torchs(ours, theirs, *words: str) -> None:
    """Ours is an instance of what torch.nn raises, and its message says these things.

    Where torch.nn makes no check and stumbles over an index, ours is a ValueError or TypeError.
    """
    mine, other = error_of(ours), error_of(theirs)
    expected = (ValueError, TypeError) if type(other) is IndexError else type(other)
    assert isinstance(mine, expected), f"{mine!r} where torch.nn raises {other!r}"
    for word in words:
        assert re.search(word, str(mine)), f"no {word!r} in {str(mine)!r}"


@pytest.mark.parametrize("case", INPUTS)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_input(name, case):
    input, *words = INPUTS[case]
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    assert_like_torchs(lambda: ours(input), lambda: theirs(input), *words)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("shape", [(B, T, I + 1), (B, 0, I)], ids=str)
def test_input_with_batch_first(name, shape):
    ours = getattr(glasscell, name)(I, H, batch_first=True)
    theirs = getattr(nn, name)(I, H, batch_first=True)
    x = torch.randn(shape)
    words = (r"\(B, T, 4\)",) if shape[1] else ("larger than 0",)
    assert_like_torchs(lambda: ours(x), lambda: theirs(x), "input", *words)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize("input", [[[1.0] * I], np.zeros((T, B, I)), None, "text"], ids=repr)
def test_input_that_is_no_tensor(name, input):
    """Where torch.nn stumbles over a missing attribute, we say what was expected."""
    with pytest.raises(TypeError, match=r"input: expected a Tensor or PackedSequence, got"):
        getattr(glasscell, name)(I, H)(input)


@pytest.mark.parametrize("case", HX)
def test_hx_of_an_lstm(case):
    hx, *words = HX[case]
    ours, theirs = glasscell.LSTM(I, H), nn.LSTM(I, H)
    assert_like_torchs(lambda: ours(X, hx), lambda: theirs(X, hx), *words)


@pytest.mark.parametrize("case", HX)
@pytest.mark.parametrize("name", ["GRU", "RNN"])
def test_hx_of_a_gru_or_rnn(name, case):
    hx, _, *words = HX[case]
    if not isinstance(hx, tuple) or case.startswith("c "):
        return
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    assert_like_torchs(lambda: ours(X, hx[0]), lambda: theirs(X, hx[0]), "hx", *words)


@pytest.mark.parametrize("case", ["h batch", "h size", "dimensions", "float64"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_hx_with_a_packed_sequence(name, case):
    hx = HX[case][0] if name == "LSTM" else HX[case][0][0]
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    assert_like_torchs(lambda: ours(packed(), hx), lambda: theirs(packed(), hx))


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_batched_hx_with_a_single_sequence(name):
    hx = states(1, 1, H)
    hx = (hx, hx) if name == "LSTM" else hx
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    assert_like_torchs(lambda: ours(X[:, 0], hx), lambda: theirs(X[:, 0], hx), r"\(1, 6\)")


def test_the_projections_size_is_h_0s():
    ours, theirs = glasscell.LSTM(I, H, proj_size=2), nn.LSTM(I, H, proj_size=2)
    hx = (states(1, B, H), states(1, B, H))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert_like_torchs(lambda: ours(X, hx), lambda: theirs(X, hx), "h_0", r"\(1, 3, 2\)")


@pytest.mark.parametrize("hx", ["text", 3, [1, 2]], ids=repr)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_hx_of_no_known_kind(name, hx):
    with pytest.raises(TypeError, match=r"(hx|h_0): expected a (pair|Tensor)"):
        getattr(glasscell, name)(I, H)(X, hx)


CONSTRUCTORS = {
    "hidden_size=0": ((I, 0), {}),
    "hidden_size=-1": ((I, -1), {}),
    "hidden_size=6.0": ((I, 6.0), {}),
    "input_size=0": ((0, H), {}),
    "input_size=4.0": ((4.0, H), {}),
    "input_size='4'": (("4", H), {}),
    "num_layers=0": ((I, H), {"num_layers": 0}),
    "num_layers=-2": ((I, H), {"num_layers": -2}),
    "dropout=-0.1": ((I, H), {"num_layers": 2, "dropout": -0.1}),
    "dropout=1.1": ((I, H), {"num_layers": 2, "dropout": 1.1}),
    "dropout=True": ((I, H), {"num_layers": 2, "dropout": True}),
    "dropout='x'": ((I, H), {"num_layers": 2, "dropout": "x"}),
    "dropout=nan": ((I, H), {"num_layers": 2, "dropout": float("nan")}),
    "bias=1": ((I, H), {"bias": 1}),
    "bias=None": ((I, H), {"bias": None}),
    "batch_first=1": ((I, H), {"batch_first": 1}),
    "unknown=1": ((I, H), {"unknown": 1}),
}


@pytest.mark.parametrize("case", CONSTRUCTORS)
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_constructor(name, case):
    args, options = CONSTRUCTORS[case]
    argument = case.split("=")[0]
    assert_like_torchs(
        lambda: getattr(glasscell, name)(*args, **options),
        lambda: getattr(nn, name)(*args, **options),
        argument,
    )


@pytest.mark.parametrize("size", [-1, 6, 7])
def test_projection_size(size):
    assert_like_torchs(
        lambda: glasscell.LSTM(I, H, proj_size=size),
        lambda: nn.LSTM(I, H, proj_size=size),
        "proj_size",
        str(size),
    )


@pytest.mark.parametrize("name", ["GRU", "RNN"])
def test_only_the_lstm_has_projections(name):
    with pytest.raises((ValueError, TypeError), match="proj_size"):
        getattr(glasscell, name)(I, H, proj_size=2)


@pytest.mark.parametrize("name", ["RNN", "RNNCell"])
def test_an_unknown_nonlinearity(name):
    ours = lambda: getattr(glasscell, name)(I, H, nonlinearity="gelu")  # noqa: E731
    with pytest.raises(ValueError, match=r'nonlinearity: expected "tanh" or "relu", got \'gelu\''):
        ours()


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_dropout_of_a_single_layer_warns_as_torch_does(name):
    with pytest.warns(UserWarning, match="dropout option adds dropout after all but last"):
        getattr(nn, name)(I, H, dropout=0.5)
    with pytest.warns(UserWarning, match="dropout") as caught:
        getattr(glasscell, name)(I, H, dropout=0.5)
    assert [warning.filename for warning in caught] == [__file__]


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("shape", [(B, I + 1), (I + 1,), (1, B, I), ()], ids=str)
def test_input_of_a_cell(name, shape):
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    x = torch.randn(shape)
    words = ("input: expected", re.escape(str(shape)))
    assert_like_torchs(lambda: ours(x), lambda: theirs(x), *words)


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
@pytest.mark.parametrize("shape", [(B, H + 1), (B + 1, H), (H,), (1, B, H)], ids=str)
def test_hx_of_a_cell(name, shape):
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    x, h = X[0], states(*shape)
    hx = (h, h) if name == "LSTMCell" else h
    assert_like_torchs(lambda: ours(x, hx), lambda: theirs(x, hx), "hx: expected")


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_dtype_of_a_cells_input(name):
    ours, theirs = getattr(glasscell, name)(I, H), getattr(nn, name)(I, H)
    x = X[0].double()
    assert_like_torchs(lambda: ours(x), lambda: theirs(x), "torch.float32", "torch.float64")


def test_a_wrong_cx_is_called_cx():
    with pytest.raises(ValueError, match=r"cx: expected \(3, 6\), got \(3, 5\)"):
        glasscell.LSTMCell(I, H)(X[0], (states(B, H), states(B, 5)))
    with pytest.raises(TypeError, match="hx: expected a pair"):
        glasscell.LSTMCell(I, H)(X[0], states(B, H))


def test_input_errors_are_value_errors_and_runtime_errors():
    assert issubclass(glasscell.InputError, ValueError)
    assert issubclass(glasscell.InputError, RuntimeError)


@pytest.mark.parametrize("engine", ["auto", *NAMES])
def test_checks_come_before_any_engine_runs(engine, monkeypatch):
    layer = glasscell.LSTM(I, H, engine=engine)
    monkeypatch.setattr("glasscell.ops.run", lambda *_: pytest.fail("an engine ran"))
    for input, *_ in INPUTS.values():
        with pytest.raises(glasscell.InputError):
            layer(input)
