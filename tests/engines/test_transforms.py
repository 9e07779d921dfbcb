"""torch.func transforms and forward-mode differentiation through the layers."""

import pytest
import torch
from tests.tolerances import assert_close
from torch.autograd import forward_ad
from torch.func import functional_call, grad, jacfwd, jacrev, jvp, vmap

from glasscell import GRU, LSTM, RNN, explain_engine

LAYERS = {
    "lstm": lambda **k: LSTM(3, 4, **k),
    "lstm-deep": lambda **k: LSTM(3, 4, num_layers=2, bidirectional=True, **k),
    "lstm-projected": lambda **k: LSTM(3, 4, proj_size=2, **k),
    "gru": lambda **k: GRU(3, 4, **k),
    "rnn": lambda **k: RNN(3, 4, **k),
}
ENGINES = ("auto", "reference")

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    # PyTorch loads its own rules for forward mode through torch.jit.
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning"),
    pytest.mark.parametrize("engine", ENGINES),
    pytest.mark.parametrize("name", LAYERS),
]


def make(name, engine):
    torch.manual_seed(0)
    return LAYERS[name](engine=engine).double()


def test_vmap_is_a_loop_over_the_mapped_dimension(name, engine):
    layer = make(name, engine)
    x = torch.randn(5, 6, 2, 3, dtype=torch.float64)  # (mapped, T, B, I)
    mapped = vmap(lambda x: layer(x)[0])(x)
    assert_close(mapped, torch.stack([layer(each)[0] for each in x]))


def test_vmap_over_the_weights_of_an_ensemble(name, engine):
    members = [LAYERS[name](engine=engine).double() for _ in range(3)]
    states = [dict(member.named_parameters()) for member in members]
    stacked = {k: torch.stack([state[k] for state in states]).detach() for k in states[0]}
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    together = vmap(lambda w: functional_call(members[0], w, (x,))[0])(stacked)
    assert_close(together, torch.stack([member(x)[0] for member in members]))


def test_grad_is_backwards(name, engine):
    layer = make(name, engine)
    x = torch.randn(4, 2, 3, dtype=torch.float64)
    weights = {k: v.detach() for k, v in layer.named_parameters()}
    found = grad(lambda w: functional_call(layer, w, (x,))[0].square().sum())(weights)
    layer(x)[0].square().sum().backward()
    for key, weight in layer.named_parameters():
        assert_close(found[key], weight.grad, key, kind="gradient")


def test_per_sample_gradients(name, engine):
    layer = make(name, engine)
    x = torch.randn(4, 3, 3, dtype=torch.float64)
    weights = {k: v.detach() for k, v in layer.named_parameters()}

    def loss(w, sequence):
        return functional_call(layer, w, (sequence,))[0].square().sum()

    found = vmap(grad(loss), in_dims=(None, 1))(weights, x)
    for b in range(3):
        layer.zero_grad()
        layer(x[:, b])[0].square().sum().backward()
        for key, weight in layer.named_parameters():
            assert_close(found[key][b], weight.grad, key, kind="gradient")


def test_jacobians_forwards_and_backwards_agree_with_autograd(name, engine):
    layer = make(name, engine)
    x = torch.randn(3, 1, 3, dtype=torch.float64)
    run = lambda x: layer(x)[0]  # noqa: E731
    expected = torch.autograd.functional.jacobian(run, x)
    assert_close(jacrev(run)(x), expected, kind="gradient")
    assert_close(jacfwd(run)(x), expected, kind="gradient")


def test_jvp_is_the_jacobian_times_the_tangent(name, engine):
    layer = make(name, engine)
    x, v = torch.randn(2, 3, 1, 3, dtype=torch.float64)
    run = lambda x: layer(x)[0]  # noqa: E731
    jacobian = torch.autograd.functional.jacobian(run, x)
    expected = torch.einsum("tbhsci,sci->tbh", jacobian, v)
    value, tangent, *_ = jvp(run, (x,), (v,))
    assert_close(value, run(x))
    assert_close(tangent, expected, kind="gradient")


def test_forward_mode_through_dual_tensors(name, engine):
    layer = make(name, engine)
    x, v = torch.randn(2, 3, 1, 3, dtype=torch.float64)
    expected = jvp(lambda x: layer(x)[0], (x,), (v,))[1]
    with forward_ad.dual_level():
        output, _ = layer(forward_ad.make_dual(x, v))
        tangent = forward_ad.unpack_dual(output).tangent
    assert_close(tangent, expected, kind="gradient")


def test_second_derivatives(name, engine):
    """Hessian-vector products by two backwards; PyTorch's operation and the reference alike."""
    layer = make(name, engine)
    x = torch.randn(3, 2, 3, dtype=torch.float64, requires_grad=True)
    v = torch.randn_like(x)
    (first,) = torch.autograd.grad(layer(x)[0].pow(3).sum(), x, create_graph=True)
    (found,) = torch.autograd.grad((first * v).sum(), x)
    loss = lambda x: layer(x)[0].pow(3).sum()  # noqa: E731
    expected = jvp(grad(loss), (x.detach(),), (v,))[1]
    assert_close(found, expected, kind="gradient")


def test_explain_engine_names_the_transform(name, engine):
    layer = make(name, engine)
    said = []

    def run(x):
        said.append(str(explain_engine(layer, x)))
        return x.sum()

    grad(run)(torch.randn(3, 1, 3, dtype=torch.float64))
    assert said[0].startswith("reference runs it")
    assert "torch.func transform" in said[0]
