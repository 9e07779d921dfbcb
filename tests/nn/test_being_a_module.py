"""What people do with modules: copy, store, convert, share, freeze, hook, parametrise, print."""

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from tests.engines.subjects import ENGINES, NAMES
from tests.nn.pairs import KINDS, PLAIN, Kind, flat
from tests.tolerances import assert_close
from torch import nn
from torch.func import functional_call
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.checkpoint import checkpoint

import glasscell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

X = torch.randn(5, 2, 3)


def through_file(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda layer: pickle.loads(pickle.dumps(layer)),
    "torch.save": through_file,
}


@pytest.mark.parametrize("through", COPIES)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_copies_compute_the_same_and_share_nothing(kind, through):
    layer = kind.ours(3, 4, num_layers=2, bidirectional=True, engine="reference")
    again = COPIES[through](layer)
    assert type(again) is type(layer)
    assert repr(again) == repr(layer)
    assert again.engine == "reference"
    assert again.cell == layer.cell
    expected = layer(X)[0]
    assert torch.equal(again(X)[0], expected)
    with torch.no_grad():
        for weight in again.parameters():
            weight.zero_()
    assert torch.equal(layer(X)[0], expected)


@pytest.mark.parametrize("through", COPIES)
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_copies_of_cells(name, through):
    cell = getattr(glasscell, name)(3, 4)
    again = COPIES[through](cell)
    for a, b in zip(again(X[0]), cell(X[0]), strict=True):
        assert torch.equal(a, b)


CONVERSIONS = [
    pytest.param(engine.name, dtype, id=f"{engine.name}-{dtype}")
    for engine in ENGINES
    for dtype in engine.dtypes
    if dtype != torch.float32
]


@pytest.mark.parametrize(("engine", "dtype"), CONVERSIONS)
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_conversions(kind, engine, dtype):
    ours, theirs = kind.pair(3, 4, num_layers=2, bidirectional=True, engine=engine)
    method = {torch.float64: "double", torch.bfloat16: "bfloat16", torch.float16: "half"}[dtype]
    ours, theirs = getattr(ours, method)(), theirs.to(dtype)
    x = X.to(dtype)
    for a, b in zip(flat(ours(x)), flat(theirs(x)), strict=True):
        assert a.dtype == b.dtype == dtype
        assert_close(a, b)
    back = ours.to(torch.float32)
    assert {weight.dtype for weight in back.parameters()} == {torch.float32}
    assert_close(flat(back(X))[0], flat(theirs.float()(X))[0])


REPRS = [
    {},
    {"num_layers": 2, "dropout": 0.25},
    {"bias": False, "batch_first": True},
    {"bidirectional": True, "num_layers": 3, "bias": False, "dropout": 1},
]


@pytest.mark.parametrize("options", REPRS, ids=str)
@pytest.mark.parametrize("kind", [*PLAIN.values(), Kind("LSTM", (("proj_size", 2),))])
def test_it_prints_as_torchs_does(kind, options):
    ours, theirs = kind.ours(3, 4, **options), kind.theirs(3, 4, **options)
    assert repr(ours) == repr(theirs)


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"nonlinearity": "relu"}], ids=str)
@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_a_cell_prints_as_torchs_does(name, options):
    if "nonlinearity" in options and name != "RNNCell":
        return
    ours, theirs = getattr(glasscell, name)(3, 4, **options), getattr(nn, name)(3, 4, **options)
    assert repr(ours) == repr(theirs)


def test_what_is_not_torchs_is_printed_where_it_is_not_the_default():
    assert repr(glasscell.LSTM(3, 4, engine="reference")) == "LSTM(3, 4, engine='reference')"
    assert "relu" in repr(glasscell.RNN(3, 4, nonlinearity="relu"))


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_positional_arguments_are_torchs(kind):
    args = (3, 4, 2, "relu", False, True, 0.5, True) if kind.name == "RNN" else (
        3, 4, 2, False, True, 0.5, True)  # fmt: skip
    ours, theirs = kind.ours(*args), kind.theirs(*args)
    names = ("input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout",
             "bidirectional", "proj_size")  # fmt: skip
    for name in names:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert [tuple(w.shape) for w in ours.parameters()] == [
        tuple(w.shape) for w in theirs.parameters()
    ]


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_functional_call(kind, engine):
    ours, theirs = kind.pair(3, 4, num_layers=2, engine=engine)
    other = {key: torch.randn_like(weight) for key, weight in ours.named_parameters()}
    before = flat(ours(X))[0]
    mine = functional_call(ours, other, (X,), {"lengths": [5, 5]})
    for a, b in zip(flat(mine), flat(functional_call(theirs, other, (X,))), strict=True):
        assert_close(a, b)
    assert torch.equal(flat(ours(X))[0], before)


@pytest.mark.parametrize("engine", NAMES)
def test_tied_weights_get_both_gradients(engine):
    ours, theirs = PLAIN["lstm"].pair(4, 4, num_layers=2, engine=engine)
    for layer in (ours, theirs):
        layer.weight_hh_l1 = layer.weight_hh_l0
        layer.weight_ih_l1 = layer.weight_ih_l0
    assert len(list(ours.parameters())) == len(list(theirs.parameters())) == 6
    x = torch.randn(5, 2, 4)
    for layer in (ours, theirs):
        layer(x)[0].square().sum().backward()
    assert_close(ours(x)[0], theirs(x)[0])
    for key, weight in theirs.named_parameters():
        assert_close(ours.get_parameter(key).grad, weight.grad, key, kind="gradient")


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("frozen", ["weight_hh_l0", "weight_ih_l1", "bias_ih_l0", "all"])
def test_frozen_weights_get_no_gradient_and_the_others_the_same(frozen, engine):
    ours, theirs = PLAIN["lstm"].pair(3, 4, num_layers=2, engine=engine)
    x = X.clone().requires_grad_()
    for layer in (ours, theirs):
        for key, weight in layer.named_parameters():
            weight.requires_grad_(frozen not in (key, "all"))
        layer(x)[0].square().sum().backward()
    for key, weight in theirs.named_parameters():
        mine = ours.get_parameter(key).grad
        assert (mine is None) == (weight.grad is None)
        if mine is not None:
            assert_close(mine, weight.grad, key, kind="gradient")


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_without_gradients(kind, mode, engine):
    layer = kind.ours(3, 4, num_layers=2, engine=engine)
    expected = flat(layer(X))
    with mode():
        found = flat(layer(X))
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)  # PyTorch takes another kernel where no gradient is wanted
        assert not a.requires_grad
        assert a.is_inference() == (mode is torch.inference_mode)


def test_module_hooks_see_what_torchs_see():
    layers: list[Any] = [glasscell.GRU(3, 4), nn.GRU(3, 4)]
    for layer in layers:
        seen: list = []
        note: Callable = seen.append
        layer.register_forward_pre_hook(lambda m, args, note=note: note(("pre", len(args))))
        layer.register_forward_hook(lambda m, args, out, note=note: note(("post", len(out))))
        layer.register_full_backward_hook(
            lambda m, grad_in, grad_out, note=note: note(("back", grad_out[0].shape))
        )
        layer(X.clone().requires_grad_())[0].sum().backward()
        assert seen == [("pre", 1), ("post", 2), ("back", (5, 2, 4))]


def test_a_hook_that_changes_the_output_does():
    layer = glasscell.GRU(3, 4)
    expected = layer(X)[0] * 2
    layer.register_forward_hook(lambda m, args, out: (out[0] * 2, out[1]))
    assert torch.equal(layer(X)[0], expected)


@pytest.mark.parametrize("engine", NAMES)
def test_a_parametrised_weight(engine):
    layers: list[Any] = list(PLAIN["lstm"].pair(3, 4, engine=engine))
    ours, theirs = layers
    for layer in layers:
        weight_norm(layer, "weight_hh_l0", dim=0)
        with torch.no_grad():
            layer.parametrizations.weight_hh_l0.original0.mul_(1.5)
        layer(X)[0].square().sum().backward()
    assert_close(ours(X)[0], theirs(X)[0])
    expected = dict(theirs.named_parameters())
    for key, weight in ours.named_parameters():
        assert_close(weight.grad, expected[key].grad, key, kind="gradient")
    again = copy.deepcopy(ours)
    assert torch.equal(again(X)[0], ours(X)[0])


def test_record_hooks_come_and_go():
    layer = glasscell.LSTM(3, 4, num_layers=2, bidirectional=True)
    seen = []
    handle = layer.register_record_hook(lambda module, records: seen.append((module, records)))
    layer(X)
    handle.remove()
    layer(X)
    ((module, records),) = seen
    assert module is layer
    assert [each.name for each in records] == ["l0", "l0_reverse", "l1", "l1_reverse"]


@pytest.mark.parametrize("through", COPIES)
def test_who_watches_a_layer_does_not_watch_its_copies(through):
    layer, seen = glasscell.GRU(3, 4), []
    layer.register_record_hook(lambda *_: seen.append(1))
    COPIES[through](layer)(X)
    assert seen == []
    layer(X)
    assert seen == [1]


def test_a_hook_that_raises_leaves_the_layer_usable():
    layer = glasscell.GRU(3, 4)

    def fail(*_) -> None:
        raise ZeroDivisionError

    handle = layer.register_record_hook(fail)
    with pytest.raises(ZeroDivisionError):
        layer(X)
    handle.remove()
    assert layer(X)[0].shape == (5, 2, 4)


def test_flatten_parameters_is_there_for_code_that_calls_it():
    layer = glasscell.LSTM(3, 4)
    expected = layer(X)[0]
    layer.flatten_parameters()
    assert torch.equal(layer(X)[0], expected)


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_training_step_by_step_stays_with_torch(kind):
    """Twenty steps of SGD from the same weights end at the same weights."""
    ours, theirs = kind.pair(3, 4, num_layers=2, dtype=torch.float64)
    x, y = X.double(), torch.randn(5, 2, 4, dtype=torch.float64)
    for layer in (ours, theirs):
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.05, momentum=0.9)
        for _ in range(20):
            optimizer.zero_grad()
            (layer(x)[0] - y).square().mean().backward()
            optimizer.step()
    for key, weight in theirs.state_dict().items():
        assert_close(ours.state_dict()[key], weight, key)


@pytest.mark.parametrize("reentrant", [True, False])
@pytest.mark.parametrize("engine", NAMES)
def test_activation_checkpointing(engine, reentrant):
    layer = glasscell.LSTM(3, 5, engine=engine)
    x = torch.randn(6, 2, 3, requires_grad=True)
    (expected,) = torch.autograd.grad(layer(x)[0].sum(), x)
    checkpoint(lambda x: layer(x)[0], x, use_reentrant=reentrant).sum().backward()
    assert x.grad is not None
    assert_close(x.grad, expected, kind="gradient")


@pytest.mark.parametrize("engine", NAMES)
def test_what_is_kept_for_the_backward_is_fetched_once(engine):
    """Those who offload activations fetch each tensor as often as it is asked for."""
    layer, fetched = glasscell.LSTM(3, 5, engine=engine), []

    def fetch(tensor):
        fetched.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, fetch):
        layer(X.clone().requires_grad_())[0].sum().backward()
    places = [tensor.data_ptr() for tensor in fetched if tensor.numel() > 0]
    assert places
    assert len(places) <= 14, "x, states and weights 7, steps 4, and what torch keeps besides"


@pytest.mark.parametrize("engine", NAMES)
def test_an_input_whose_sign_is_to_be_changed_when_it_is_read(engine):
    layer, x = glasscell.LSTM(3, 5, engine=engine), torch._neg_view(X)  # type: ignore[attr-defined]
    assert x.is_neg()
    assert_close(layer(x)[0].detach(), layer(-X)[0].detach())
