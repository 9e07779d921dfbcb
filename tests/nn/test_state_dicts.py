"""Weights: the same names, shapes, order and initial values as torch.nn's, moving both ways."""

from itertools import product

import pytest
import torch
from tests.nn.pairs import KINDS, PLAIN, flat
from torch import nn

import glasscell

OPTIONS = [
    {"num_layers": L, "bias": bias, "bidirectional": both}
    for L, bias, both in product((1, 3), (True, False), (False, True))
]
LAYERS = [
    *((kind, options) for kind in PLAIN.values() for options in OPTIONS),
    *((KINDS["lstm-projected"], options) for options in OPTIONS),
    (KINDS["rnn-relu"], {"num_layers": 2}),
    (PLAIN["lstm"], {"dtype": torch.float64}),
    (PLAIN["gru"], {"dtype": torch.bfloat16, "num_layers": 2}),
    (PLAIN["lstm"], {"batch_first": True, "dropout": 0.3, "num_layers": 2}),
]
IDS = [f"{kind.name}-{k}" for k, (kind, _) in enumerate(LAYERS)]
CELLS = [
    (name, {"bias": bias, **more})
    for name in ("LSTMCell", "GRUCell", "RNNCell")
    for bias in (True, False)
    for more in ({}, {"dtype": torch.float64}, {"nonlinearity": "relu"})
    if name == "RNNCell" or "nonlinearity" not in more
]

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@pytest.mark.parametrize(("kind", "options"), LAYERS, ids=IDS)
def test_the_same_seed_gives_the_same_initial_values(kind, options):
    torch.manual_seed(3)
    theirs = kind.theirs(5, 4, **options).state_dict()
    after_theirs = torch.get_rng_state()
    torch.manual_seed(3)
    ours = kind.ours(5, 4, **options).state_dict()
    assert list(ours) == list(theirs)
    for key, weight in theirs.items():
        assert ours[key].dtype == weight.dtype
        assert torch.equal(ours[key], weight), key
    assert torch.equal(torch.get_rng_state(), after_theirs)


@pytest.mark.parametrize(("name", "options"), CELLS)
def test_the_same_seed_gives_the_same_initial_values_of_a_cell(name, options):
    torch.manual_seed(3)
    theirs = getattr(nn, name)(5, 4, **options).state_dict()
    torch.manual_seed(3)
    ours = getattr(glasscell, name)(5, 4, **options).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


@pytest.mark.parametrize(("kind", "options"), LAYERS, ids=IDS)
def test_state_dicts_move_both_ways(kind, options):
    ours, theirs = kind.ours(5, 4, **options), kind.theirs(5, 4, **options)
    dtype = options.get("dtype", torch.float32)
    x = torch.randn(3, 2, 5, dtype=dtype)
    ours.eval()
    theirs.eval()
    theirs.load_state_dict(ours.state_dict())
    results = [flat(ours(x)), flat(theirs(x))]
    ours.load_state_dict(kind.theirs(5, 4, **options).state_dict())
    assert not torch.equal(flat(ours(x))[0], results[0][0])
    ours.load_state_dict(theirs.state_dict())
    for mine, other, again in zip(*results, flat(ours(x)), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=4e-3 if dtype.itemsize == 2 else 1e-6)
        assert torch.equal(mine, again)


@pytest.mark.parametrize(("name", "options"), CELLS)
def test_state_dicts_of_cells_move_both_ways(name, options):
    ours = getattr(glasscell, name)(5, 4, **options)
    theirs = getattr(nn, name)(5, 4, **options)
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 5, dtype=options.get("dtype"))
    mine, other = ours(x), theirs(x)
    for a, b in zip(mine, other, strict=True):
        assert torch.equal(a, b)


def test_a_state_dict_that_does_not_fit_is_refused_as_torch_refuses_it():
    with pytest.raises(RuntimeError, match=r"size mismatch for weight_ih_l0"):
        glasscell.LSTM(5, 4).load_state_dict(nn.LSTM(6, 4).state_dict())
    with pytest.raises(RuntimeError, match=r"Missing key.*weight_ih_l1"):
        glasscell.GRU(5, 4, num_layers=2).load_state_dict(nn.GRU(5, 4).state_dict())


@pytest.mark.parametrize(("kind", "options"), LAYERS, ids=IDS)
def test_all_weights_is_grouped_as_torchs(kind, options):
    ours, theirs = kind.ours(5, 4, **options), kind.theirs(5, 4, **options)
    shapes = [[tuple(w.shape) for w in group] for group in ours.all_weights]
    assert shapes == [[tuple(w.shape) for w in group] for group in theirs.all_weights]
    named = dict(ours.named_parameters())
    assert {id(w) for group in ours.all_weights for w in group} == {id(w) for w in named.values()}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_reset_parameters_draws_anew_from_the_same_distribution(kind):
    ours, theirs = kind.pair(5, 4)
    torch.manual_seed(7)
    ours.reset_parameters()
    torch.manual_seed(7)
    theirs.reset_parameters()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
        assert mine.abs().max() <= 4**-0.5


def test_a_model_on_the_meta_device_holds_no_memory():
    layer = glasscell.LSTM(5, 4, num_layers=2, device="meta")
    assert all(weight.is_meta for weight in layer.parameters())
    assert layer.to_empty(device="cpu").weight_ih_l0.shape == (16, 5)
