"""Keras's own layers, on its PyTorch backend, as ours and back."""

from typing import Any

import keras
import numpy as np
import pytest
import torch
from tests.interchange.running import (
    assert_agree,
    assert_same_layer,
    flat,
    layer_of,
    ran,
    states_of,
)
from tests.tolerances import assert_same_bits

import glasscell
from glasscell import InputError, cells

# Keras's arrays do not know a keyword of NumPy 2
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")
L: Any = keras.layers

I, H, T, B = 5, 6, 7, 3
FULL = {"return_sequences": True, "return_state": True}
KINDS = {
    "lstm": (L.LSTM, {}, "lstm"),
    "lstm-nobias": (L.LSTM, {"use_bias": False}, "lstm"),
    "lstm-forget-zero": (L.LSTM, {"unit_forget_bias": False, "unroll": True}, "lstm"),
    "lstm-hard": (
        L.LSTM,
        {"activation": "hard_tanh", "recurrent_activation": "hard_sigmoid"},
        "hard_lstm",
    ),
    "lstm-linear": (L.LSTM, {"activation": "linear"}, None),
    "gru": (L.GRU, {}, "gru"),
    "gru-nobias": (L.GRU, {"use_bias": False}, "gru"),
    "gru-before": (L.GRU, {"reset_after": False}, "gru_reset_before"),
    "gru-before-nobias": (L.GRU, {"reset_after": False, "use_bias": False}, "gru_reset_before"),
    "gru-hard": (L.GRU, {"recurrent_activation": "hard_sigmoid", "activation": "relu"}, None),
    "rnn": (L.SimpleRNN, {}, "rnn"),
    "rnn-relu": (L.SimpleRNN, {"activation": "relu"}, "relu_rnn"),
}


def built(layer, features=I):
    """The layer with random weights, biases too."""
    layer.build((None, None, features))
    for variable in layer.weights:
        variable.assign(
            np.random.default_rng(len(variable.path)).uniform(-0.8, 0.8, variable.shape)
        )
    return layer


def doubled(v):
    return 2 * v


def stateful():
    layer = L.LSTM(H, stateful=True)
    layer.build((B, None, I))
    return layer


def built_cell(cell):
    cell.build((None, I))
    return cell


def outputs(layer, x, hx=None):
    """Output and last states of a Keras layer, as ours gives them."""
    states = None if hx is None else [h[0] for h in flat(hx)]
    with torch.no_grad():
        output, *last = layer(x, initial_state=states)
    return [output, *(h[None] for h in last)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options", "cell"), KINDS.values(), ids=list(KINDS))
def test_a_layer(kind, options, cell, dtype):
    theirs = built(kind(H, dtype=dtype, **FULL, **options))
    ours = glasscell.from_keras(theirs)
    if cell is not None:
        assert ours.cell == cells.VARIANTS[cell]
    x = torch.randn(B, T, I, dtype=getattr(torch, dtype))
    # Keras multiplies float64 matrices in float32, save where it has PyTorch run all of a layer
    hx = states_of(ours, B)
    rounded = torch.float32 if kind is L.SimpleRNN or "reset_after" in options else None
    assert_agree(ran(ours, x, hx), outputs(theirs, x, hx), rounded)
    assert_agree(ran(ours, x), outputs(theirs, x), rounded)

    mine = glasscell.to_keras(ours, into=theirs)
    for a, b in zip(mine, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_same_layer(glasscell.from_keras(theirs), ours)


@pytest.mark.parametrize(("kind", "options", "cell"), KINDS.values(), ids=list(KINDS))
def test_a_layer_of_ours(kind, options, cell):
    if cell is None:
        cell = glasscell.from_keras(built(kind(H, **options))).cell
    ours = layer_of(cell, I, H, batch_first=True, bias=options.get("use_bias", True))
    theirs = kind(H, **FULL, **options)
    theirs.build((None, None, I))
    arrays = glasscell.to_keras(ours, into=theirs)
    x, hx = torch.randn(B, T, I), states_of(ours, B)
    assert_agree(ran(ours, x, hx), outputs(theirs, x, hx))
    other = kind(H, **FULL, **options)
    other.build((None, None, I))
    other.set_weights(arrays)
    for a, b in zip(outputs(other, x), outputs(theirs, x), strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("merged", [True, False])
@pytest.mark.parametrize("kind", [L.LSTM, L.GRU, L.SimpleRNN])
def test_stacks_and_both_directions(kind, merged):
    theirs = keras.Sequential(
        [L.Bidirectional(kind(H, return_sequences=True)) for _ in range(2)]
        if merged
        else [kind(H, return_sequences=True) for _ in range(3)]
    )
    built(theirs)
    ours = glasscell.from_keras(theirs.layers)
    assert (ours.num_layers, ours.bidirectional) == ((2, True) if merged else (3, False))
    x = torch.randn(B, T, I)
    with torch.no_grad():
        expected = theirs(x)
    assert_agree(ran(ours, x)[:1], [expected])
    arrays = glasscell.to_keras(ours)
    for a, b in zip(arrays, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = glasscell.from_keras(arrays, ours.cell, bidirectional=merged)
    assert_same_layer(again, ours)
    theirs.set_weights([np.zeros_like(array) for array in arrays])
    glasscell.to_keras(ours, into=theirs.layers)
    with torch.no_grad():
        assert_same_bits(theirs(x), expected)


def test_last_states_of_both_directions():
    theirs = built(L.Bidirectional(L.LSTM(H, **FULL)))
    x = torch.randn(B, T, I)
    with torch.no_grad():
        output, h, c, h_back, c_back = theirs(x)
    expected = [output, torch.stack((h, h_back)), torch.stack((c, c_back))]
    assert_agree(ran(glasscell.from_keras(theirs), x), expected)


@pytest.mark.parametrize("cell", [L.LSTMCell, L.GRUCell, L.SimpleRNNCell])
def test_cells_alone_and_in_an_rnn(cell):
    theirs = cell(H)
    theirs.build((None, I))
    one_step, x = glasscell.from_keras(theirs), torch.randn(B, I)
    hx = torch.randn(B, H)
    states = [hx, torch.randn(B, H)] if cell is L.LSTMCell else [hx]
    with torch.no_grad():
        _, expected = theirs(x, states)
        found = one_step(x, tuple(states) if cell is L.LSTMCell else hx)
    assert_agree(flat(found), list(expected))
    for a, b in zip(glasscell.to_keras(one_step, into=theirs), theirs.weights, strict=True):
        np.testing.assert_array_equal(a, b.numpy())
    wrapped = built(L.RNN([cell(H), cell(H)], return_sequences=True))
    ours, steps = glasscell.from_keras(wrapped), torch.randn(B, T, I)
    assert ours.num_layers == 2
    with torch.no_grad():
        assert_agree(ran(ours, steps)[:1], [wrapped(steps)])


def test_two_biases_become_their_sum():
    ours = layer_of("lstm", I, H)
    *_, bias = glasscell.to_keras(ours)
    np.testing.assert_array_equal(bias, (ours.bias_ih_l0 + ours.bias_hh_l0).detach().numpy())
    gru = layer_of("gru", I, H)
    *_, both = glasscell.to_keras(gru)
    z, r, n = gru.bias_hh_l0.detach().view(3, H)[[1, 0, 2]].numpy()
    np.testing.assert_array_equal(both[1], np.concatenate((z, r, n)))


def test_padded_sequences_as_keras_masks_them():
    theirs = built(L.Bidirectional(L.GRU(H, return_sequences=True)))
    x, lengths = torch.randn(B, T, I), torch.tensor([T, 4, 1])
    mask = torch.arange(T) < lengths[:, None]
    with torch.no_grad():
        expected = theirs(x, mask=mask)
    output = glasscell.from_keras(theirs)(x, lengths=lengths)[0]
    assert_agree([output.detach()], [expected])


class Louder(L.LSTM):
    pass


ODD = {
    "another layer": (lambda: L.Dense(3), r"source: expected .* of Keras's, got keras\..*Dense"),
    "a subclass": (lambda: Louder(H), "expected .*Louder"),
    "not built": (lambda: L.LSTM(H), "not built"),
    "activation": (
        lambda: built(L.LSTM(H, activation="gelu")),
        "activation: expected one of .* got 'gelu'",
    ),
    "a function": (
        lambda: built(L.LSTM(H, recurrent_activation=doubled)),
        "recurrent_activation: expected",
    ),
    "stateful": (lambda: stateful(), "stateful: expected False, got True"),
    "backwards": (
        lambda: built(L.LSTM(H, go_backwards=True)),
        "go_backwards: expected False, got True",
    ),
    "dropout": (lambda: built(L.LSTM(H, dropout=0.2)), r"dropout: expected 0, got 0\.2"),
    "recurrent dropout": (
        lambda: built(L.GRU(H, recurrent_dropout=0.2)),
        r"recurrent_dropout: expected 0, got 0\.2",
    ),
    "merge mode": (
        lambda: built(L.Bidirectional(L.LSTM(H), merge_mode="sum")),
        "merge_mode: expected \"concat\", got 'sum'",
    ),
    "two kinds": (
        lambda: [built(L.LSTM(H)), built(L.GRU(H), H)],
        r"source\[1\]: expected the same class",
    ),
    "two sizes": (lambda: [built(L.LSTM(H)), built(L.LSTM(H + 1), H)], "are alike"),
    "another input": (lambda: [built(L.LSTM(H)), built(L.LSTM(H), H + 1)], "are alike"),
    "one bias": (lambda: [built(L.LSTM(H)), built(L.LSTM(H, use_bias=False), H)], "are alike"),
    "two dtypes": (
        lambda: [built(L.LSTM(H)), built(L.LSTM(H, dtype="float64"), H)],
        "expected one dtype",
    ),
    "nothing": (list, "expected a Keras layer or several, got none"),
    "a cell of no module": (
        lambda: built_cell(L.LSTMCell(H, activation="relu")),
        "no one-step module",
    ),
}


@pytest.mark.parametrize("case", ODD)
def test_what_has_no_counterpart_is_refused(case):
    make, why = ODD[case]
    with pytest.raises(InputError, match=why):
        glasscell.from_keras(make())


def test_dropout_may_be_left_behind():
    theirs = built(L.LSTM(H, dropout=0.2, **FULL))
    x = torch.randn(B, T, I)
    ours = glasscell.from_keras(theirs, ignore_dropout=True)
    assert_agree(ran(ours, x), outputs(theirs, x))


def test_arrays_that_do_not_fit_are_refused():
    arrays = glasscell.to_keras(layer_of("lstm", I, H))
    bad = {
        "cell: arrays do not say": (arrays, None),
        "cell: there is no variant 'lstmm'": (arrays, "lstmm"),
        r"Keras has no peephole": (arrays, "peephole"),
        r"expected 3 arrays for each layer \(1 direction\(s\) of 3, bias=True\), got 2": (
            arrays[:2],
            "lstm",
        ),
        r"kernel: expected \(I, 24\), got \(24, 5\)": ([arrays[0].T, *arrays[1:]], "lstm"),
        r"recurrent_kernel: expected \(6, 24\), got \(6, 23\)": (
            [arrays[0], arrays[1][:, 1:], arrays[2]],
            "lstm",
        ),
        r"bias: expected \(24,\), got \(2, 24\)": (
            [*arrays[:2], np.stack((arrays[2], arrays[2]))],
            "lstm",
        ),
        r"kernel: expected one of .*, got int64": ([arrays[0].astype(int), *arrays[1:]], "lstm"),
    }
    for why, (source, cell) in bad.items():
        with pytest.raises(InputError, match=why):
            glasscell.from_keras(source, cell)
    with pytest.raises(InputError, match="leave them out"):
        glasscell.from_keras(built(L.LSTM(H)), "lstm")


def test_what_arrays_do_not_say_needs_the_keras_layer():
    with pytest.raises(InputError, match="arrays do not say activation='hard_tanh'"):
        glasscell.to_keras(layer_of("hard_lstm", I, H))
    with pytest.raises(InputError, match="reset_after=False"):
        glasscell.to_keras(layer_of("gru_reset_before", I, H))


@pytest.mark.parametrize(
    ("into", "why"),
    [
        (lambda: built(L.LSTM(H, activation="relu")), "into: expected LSTM.*activation='tanh'"),
        (lambda: built(L.GRU(H)), "into: expected LSTM"),
        (lambda: built(L.LSTM(H, use_bias=False)), "use_bias=True"),
        (lambda: built(L.LSTM(H + 1)), r"expected weights \[\(5, 24\)"),
        (lambda: built(L.Bidirectional(L.LSTM(H))), r"expected 1 layer\(s\) of 1 direction"),
        (lambda: built_cell(L.LSTMCell(H)), "a cell for a cell"),
    ],
)
def test_a_keras_layer_that_computes_something_else_stays_as_it_is(into, why):
    theirs = into()
    before = theirs.get_weights()
    with pytest.raises(InputError, match=why):
        glasscell.to_keras(layer_of("lstm", I, H), into=theirs)
    for a, b in zip(before, theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("cell", ["peephole", "coupled", "layer_norm_lstm", "min_gru", "indrnn"])
def test_variants_that_keras_lacks_are_refused(cell):
    with pytest.raises(InputError, match="layer: Keras has no"):
        glasscell.to_keras(layer_of(cell, I, H))
    with pytest.raises(InputError, match=r"layer: Keras has no projection, got proj_size=2"):
        glasscell.to_keras(glasscell.LSTM(I, H, proj_size=2))
    with pytest.raises(InputError, match="one activation for the candidate and the cell state"):
        glasscell.to_keras(layer_of("no_output_activation", I, H))
