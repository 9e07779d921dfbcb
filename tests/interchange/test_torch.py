"""torch.nn's layers as ours and back: values and every bit."""

import pytest
import torch
from tests.interchange.running import assert_agree, layer_of, ran
from tests.tolerances import assert_same_bits
from torch import nn
from torch.nn.utils import parametrizations, prune

import glasscell

I, H, T, B = 5, 6, 7, 3
LAYERS = {
    "lstm": (nn.LSTM, {}),
    "lstm-all": (nn.LSTM, {"num_layers": 3, "bidirectional": True, "batch_first": True}),
    "lstm-projected": (nn.LSTM, {"num_layers": 2, "proj_size": 2, "bias": False}),
    "lstm-projected-both": (nn.LSTM, {"num_layers": 2, "proj_size": 2, "bidirectional": True}),
    "gru": (nn.GRU, {"num_layers": 2, "dropout": 0.3}),
    "gru-nobias": (nn.GRU, {"bias": False, "bidirectional": True}),
    "rnn": (nn.RNN, {"num_layers": 2}),
    "rnn-relu": (nn.RNN, {"nonlinearity": "relu", "bidirectional": True}),
}
STEPS = {
    "lstm": (nn.LSTMCell, {}),
    "gru": (nn.GRUCell, {"bias": False}),
    "rnn": (nn.RNNCell, {}),
    "rnn-relu": (nn.RNNCell, {"nonlinearity": "relu"}),
}


def assert_same_weights(a, b):
    mine, theirs = a.state_dict(), b.state_dict()
    assert list(mine) == list(theirs)
    for name, weight in mine.items():
        assert_same_bits(weight, theirs[name], name)
        assert weight.data_ptr() != theirs[name].data_ptr()


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("kind", "options"), LAYERS.values(), ids=list(LAYERS))
def test_layers(kind, options, dtype):
    theirs = kind(I, H, dtype=dtype, **options).eval()
    ours = glasscell.from_torch(theirs)
    x = torch.randn(T, B, I, dtype=dtype)
    assert type(ours).__name__ == kind.__name__
    assert_agree(ran(ours, x), ran(theirs, x))
    assert_same_weights(ours, theirs)
    again = glasscell.to_torch(ours)
    assert repr(again) == repr(theirs)
    assert_same_weights(again, theirs)
    for mine, other in zip(ran(again, x), ran(theirs, x), strict=True):
        assert_same_bits(mine, other)


@pytest.mark.parametrize(("kind", "options"), STEPS.values(), ids=list(STEPS))
def test_one_step(kind, options):
    theirs = kind(I, H, **options)
    ours = glasscell.from_torch(theirs)
    x = torch.randn(B, I)
    found, expected = ours(x), theirs(x)
    mine, other = ([*r] if isinstance(r, tuple) else [r] for r in (found, expected))
    assert_agree(mine, other)
    assert_same_weights(glasscell.to_torch(ours), theirs)
    assert repr(glasscell.to_torch(ours)) == repr(theirs)


def test_training_and_what_is_trained_stay():
    theirs = nn.LSTM(I, H, num_layers=2, dropout=0.5).eval()
    theirs.weight_hh_l1.requires_grad_(False)
    for each in (ours := glasscell.from_torch(theirs), glasscell.to_torch(ours)):
        assert not each.training
        assert each.dropout == 0.5
        assert [n for n, p in each.named_parameters() if not p.requires_grad] == ["weight_hh_l1"]


def test_a_conversion_draws_no_random_numbers():
    theirs, state = nn.LSTM(I, H), torch.get_rng_state()
    glasscell.to_torch(glasscell.from_torch(theirs))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("peephole", "no peephole of the input gate"),
        ("coupled", "no forget gate that is 1 - the input gate"),
        ("no_output_gate", "no LSTM without an output gate"),
        ("no_input_activation", "no candidate that ends in identity"),
        ("no_output_activation", "no cell state that goes out through identity"),
        ("gru_reset_before", "no reset gate that acts before the product"),
        ("layer_norm_lstm", "no cell of this kind"),
        ("indrnn", "no units that read of the past themselves alone"),
        ("min_gru", "no update gate that reads only x"),
    ],
)
def test_variants_are_refused(cell, why):
    with pytest.raises(glasscell.InputError, match=f"layer: torch.nn has {why}"):
        glasscell.to_torch(layer_of(cell, I, I))


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"zoneout": 0.1}, "zoneout"),
        ({"recurrent_dropout": 0.1}, "no recurrent_dropout, got 0.1"),
        ({"weight_dropout": 0.1}, "no weight_dropout"),
        ({"stochastic": ("forget",)}, "no forget gate whose value is drawn"),
    ],
)
def test_options_of_training_are_refused(options, why):
    with pytest.raises(glasscell.InputError, match=why):
        glasscell.to_torch(glasscell.LSTM(I, H, **options))


def test_an_edit_is_not_lost():
    layer = glasscell.LSTM(I, H)
    with (
        glasscell.edit(layer, "l0", "forget_gate", set=1.0),
        pytest.raises(glasscell.InputError, match="under an edit"),
    ):
        glasscell.to_torch(layer)


class Louder(nn.LSTM):
    def forward(self, *args):
        output, last = super().forward(*args)
        return 2 * output, last


def test_other_modules_are_refused():
    with pytest.raises(glasscell.InputError, match="Linear; of a model, give the layer itself"):
        glasscell.from_torch(nn.Linear(2, 3))
    with pytest.raises(glasscell.InputError, match="Louder has a forward of its own"):
        glasscell.from_torch(Louder(I, H))
    with pytest.raises(TypeError, match=r"layer: expected a glasscell\.LSTM"):
        glasscell.to_torch(nn.LSTM(I, H))  # type: ignore[arg-type]


def test_what_stands_in_a_weights_place_is_not_lost():
    pruned = prune.random_unstructured(nn.LSTM(I, H), "weight_hh_l0", 0.5)
    with pytest.raises(glasscell.InputError, match="weight_hh_l0_orig"):
        glasscell.from_torch(pruned)
    normed = parametrizations.weight_norm(nn.GRU(I, H), "weight_hh_l0")
    with pytest.raises(glasscell.InputError, match=r"parametrizations\.weight_hh_l0"):
        glasscell.from_torch(normed)
