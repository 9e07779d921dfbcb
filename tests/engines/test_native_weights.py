"""Weights are packed once and packed anew after every change, however it is made."""

import copy
import gc
import weakref
from dataclasses import replace

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import call_of, exact, leaves
from tests.engines.subjects import NEEDS_KERNELS
from tests.tolerances import assert_close, assert_same_bits
from torch import Tensor
from torch.func import functional_call

from glasscell import LSTM, ops
from glasscell.cells import RELU, TANH
from glasscell.cells import RNN as RNNCell
from glasscell.engines.packed import kept_weights, packed

X = torch.randn(5, 3, 7)
PARAMETERS = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0")

pytestmark = NEEDS_KERNELS


def make(**options) -> LSTM:
    torch.manual_seed(0)
    return LSTM(7, 20, proj_size=6, engine="native", **options)


def reference(layer: LSTM, x: Tensor = X) -> Tensor:
    other = copy.deepcopy(layer)
    other.engine = "reference"
    return other(x)[0]


def in_place(weight: Tensor) -> None:
    with torch.no_grad():
        weight.mul_(1.25)


def one_number(weight: Tensor) -> None:
    weight.data.view(-1)[-1] += 0.5


def through_data(weight: Tensor) -> None:
    weight.data.mul_(1.25)


def through_numpy(weight: Tensor) -> None:
    weight.detach().numpy()[...] *= 1.25


def other_data(weight: Tensor) -> None:
    weight.data = weight.data * 1.25


def negated(weight: Tensor) -> None:
    weight.data.neg_()


def some_signs(weight: Tensor) -> None:
    weight.data.view(-1)[::2].neg_()


def by_the_optimizer(weight: Tensor) -> None:
    weight.grad = torch.ones_like(weight)
    torch.optim.SGD([weight], lr=0.1).step()


CHANGES = (
    in_place,
    one_number,
    through_data,
    through_numpy,
    other_data,
    negated,
    some_signs,
    by_the_optimizer,
)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("parameter", PARAMETERS)
def test_every_change_of_a_weight_shows(parameter, change):
    layer = make()
    before = layer(X)[0].detach()
    change(layer.get_parameter(parameter))
    after = layer(X)[0]
    assert not torch.equal(after, before)
    assert_close(after, reference(layer))


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("parameter", ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0"])
def test_every_change_shows_in_the_gradient(parameter, change):
    """The backward pass has panels of its own."""
    layer, x = make(), X.clone().requires_grad_()
    torch.autograd.grad(layer(x)[0].sum(), x)
    change(layer.get_parameter(parameter))
    (found,) = torch.autograd.grad(layer(x)[0].sum(), x)
    (expected,) = torch.autograd.grad(reference(layer, x).sum(), x)
    assert_close(found, expected, kind="gradient")


def test_a_change_between_forward_and_backward_is_refused_as_autograd_does():
    layer = make()
    output, _ = layer(X)
    in_place(layer.get_parameter("weight_hh_l0"))
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


def test_load_state_dict_and_functional_call():
    layer, other = make(), LSTM(7, 20, proj_size=6, engine="native")
    layer(X)
    expected = other(X)[0]
    mine = functional_call(layer, dict(other.named_parameters()), (X,))[0]
    assert_same_bits(mine, expected)
    assert not torch.equal(layer(X)[0], expected)
    layer.load_state_dict(other.state_dict())
    assert_same_bits(layer(X)[0], expected)
    layer.load_state_dict({k: v * 2 for k, v in other.state_dict().items()}, assign=True)
    assert_close(layer(X)[0], reference(layer))


def test_training_stays_with_the_reference():
    ours, theirs = make().double(), make().double()
    theirs.engine = "reference"
    for layer in (ours, theirs):
        optimizer = torch.optim.Adam(layer.parameters(), lr=0.01)
        for _ in range(10):
            optimizer.zero_grad()
            layer(X.double())[0].square().sum().backward()
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_close(a, b, kind="gradient")


def test_an_unchanged_weight_is_not_packed_again():
    layer = make()
    layer(X)
    kept = kept_weights[id(layer.weight_ih_l0)].packed
    layer(X)[0].sum().backward()
    layer(X[:2])
    with torch.no_grad():
        layer(X, lengths=[5, 3, 1])
    assert kept_weights[id(layer.weight_ih_l0)].packed is kept


def test_cells_that_share_their_weights_get_their_own():
    tensors = leaves("rnn-tanh", [4, 2], 3, 18, torch.float32)
    call = call_of("rnn-tanh", tensors, [4, 2])
    doubles = call_of("rnn-tanh", exact(tensors), [4, 2])
    for squash in (TANH, RELU, TANH):
        cell = RNNCell(replace(SUBJECTS["rnn-tanh"].cell.gates[0], squash=squash))
        found = ops.run(call._replace(cell=cell), "native").h
        assert_close(found, ops.run(doubles._replace(cell=cell), "reference").h, dtype=found.dtype)


def test_the_same_numbers_in_another_shape_are_another_weight():
    """Same tensor, address, version and bytes: what is a matrix of which size still differs."""
    memory = {"W": torch.zeros(96), "U": torch.zeros(32), "V": torch.zeros(8)}
    w = SUBJECTS["lstm-projected"].weights(6, 4, torch.float32)._replace(b_x=None, b_h=None)
    found = []
    for I, H, P in ((6, 4, 2), (3, 8, 1), (12, 2, 4)):
        for letter, shape in (("W", (4 * H, I)), ("U", (4 * H, P)), ("V", (P, H))):
            getattr(w, letter).data = memory[letter].view(shape)
        found.append(packed(SUBJECTS["lstm-projected"].cell, w))
        assert packed(SUBJECTS["lstm-projected"].cell, w) is found[-1]
    assert len(set(map(id, found))) == 3


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float32], ids=str)
def test_a_layer_that_changes_its_precision(dtype):
    layer = make()
    layer(X)
    layer.to(dtype)
    assert_close(layer(X.to(dtype))[0], reference(layer, X.to(dtype)))


def test_what_was_packed_goes_with_its_weight():
    gc.collect()
    before = len(kept_weights)
    layers = [make(num_layers=2, bidirectional=True) for _ in range(5)]
    for layer in layers:
        layer(X)[0].sum().backward()
    assert len(kept_weights) == before + 5 * 4
    weight = weakref.ref(layers[0].weight_ih_l0)
    del layer, layers
    gc.collect()
    assert weight() is None
    assert len(kept_weights) == before


def test_weights_made_for_one_call_leave_nothing_behind():
    """Under autocast, and where a weight is computed, every call has tensors of its own."""
    layer = make()
    layer(X)
    gc.collect()
    before = len(kept_weights)
    for _ in range(20):
        with torch.autocast("cpu", torch.bfloat16):
            layer(X)[0].sum().backward()
        doubled = {k: v * 2 for k, v in layer.named_parameters()}
        functional_call(layer, doubled, (X,))[0].sum().backward()
    del doubled
    gc.collect()
    assert len(kept_weights) <= before


@pytest.mark.parametrize("autocast", [False, True])
def test_inference_tensors_which_have_no_version(autocast):
    layer = make()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        expected = layer(X)[0]
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        again = make()
        found = again(X)[0]
        assert_same_bits(found, expected)
        assert_same_bits(layer(X)[0], expected)
        again.get_parameter("weight_hh_l0").mul_(1.5)
        assert not torch.equal(again(X)[0], found)
