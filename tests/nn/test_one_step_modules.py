"""LSTMCell, GRUCell and RNNCell, against torch.nn's."""

import pytest
import torch
from tests.tolerances import assert_close
from torch import nn
from torch.autograd import forward_ad
from torch.func import jacrev, vmap

import glasscell

CELLS = [
    ("LSTMCell", {}),
    ("LSTMCell", {"bias": False}),
    ("GRUCell", {}),
    ("GRUCell", {"bias": False}),
    ("RNNCell", {}),
    ("RNNCell", {"nonlinearity": "relu"}),
    ("RNNCell", {"bias": False}),
]


def pair(name, options, dtype=torch.float64, I=3, H=4):
    theirs = getattr(nn, name)(I, H, **options, dtype=dtype)
    ours = getattr(glasscell, name)(I, H, **options, dtype=dtype)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


@pytest.mark.parametrize("shape", [(5, 3), (1, 3), (0, 3), (3,)], ids=str)
@pytest.mark.parametrize("with_hx", [True, False], ids=["hx", "zeros"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("name", "options"), CELLS)
def test_a_step_and_its_gradients(name, options, dtype, with_hx, shape):
    ours, theirs = pair(name, options, dtype)
    x = torch.randn(shape, dtype=dtype, requires_grad=True)
    states = [torch.randn(*shape[:-1], 4, dtype=dtype, requires_grad=True) for _ in range(2)]
    hx = None
    if with_hx:
        hx = tuple(states) if name == "LSTMCell" else states[0]
    mine, other = as_tuple(ours(x, hx)), as_tuple(theirs(x, hx))
    ds = [torch.randn_like(each) for each in other]
    inputs = [x, *(() if hx is None else as_tuple(hx))]
    found = torch.autograd.grad(mine, [*inputs, *ours.parameters()], ds)
    expected = torch.autograd.grad(other, [*inputs, *theirs.parameters()], ds)
    for a, b in zip(mine, other, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b, kind="gradient")


@pytest.mark.parametrize(("name", "layer"), [("LSTMCell", "LSTM"), ("GRUCell", "GRU"),
                                             ("RNNCell", "RNN")])  # fmt: skip
def test_steps_in_a_row_are_the_layer(name, layer):
    cell = getattr(glasscell, name)(3, 4, dtype=torch.float64)
    whole = getattr(glasscell, layer)(3, 4, dtype=torch.float64)
    whole.load_state_dict({f"{key}_l0": weight for key, weight in cell.state_dict().items()})
    x, hx, outputs = torch.randn(17, 2, 3, dtype=torch.float64), None, []
    for x_t in x:
        hx = cell(x_t, hx)
        outputs.append(as_tuple(hx)[0])
    expected, last = whole(x)
    assert_close(torch.stack(outputs), expected)
    for a, b in zip(as_tuple(hx), as_tuple(last), strict=True):
        assert_close(a, b[0])


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("name", "options"), CELLS)
def test_transforms(name, options):
    ours, _ = pair(name, options)
    x, v = torch.randn(2, 5, 3, dtype=torch.float64)
    run = lambda x: as_tuple(ours(x))[0]  # noqa: E731
    expected = torch.autograd.functional.jacobian(run, x)
    assert_close(jacrev(run)(x), expected, kind="gradient")
    assert_close(vmap(run)(x), run(x))
    with forward_ad.dual_level():
        tangent = forward_ad.unpack_dual(run(forward_ad.make_dual(x, v))).tangent
    assert_close(tangent, torch.einsum("bhci,ci->bh", expected, v), kind="gradient")


@pytest.mark.parametrize(("name", "options"), CELLS)
def test_second_derivatives(name, options):
    ours, _ = pair(name, options)
    x = torch.randn(2, 3, dtype=torch.float64, requires_grad=True)
    run = lambda x: as_tuple(ours(x))[0]  # noqa: E731
    assert torch.autograd.gradgradcheck(run, x)


@pytest.mark.parametrize(("name", "options"), CELLS)
def test_weights_by_letter(name, options):
    ours, _ = pair(name, options)
    w = ours.weights()
    assert w.W is ours.weight_ih
    assert w.U is ours.weight_hh
    assert w.b_x is ours.bias_ih
    assert w.b_h is ours.bias_hh
