"""Gradients as other tools take them: attributions, per sample, of gradients, in evaluation."""

import pytest
import torch
import torch.nn.functional as F
from tests.nn.pairs import KINDS, PLAIN
from tests.tolerances import assert_close
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

B, T, V, I, H = 4, 7, 11, 3, 5

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


class Classifier(nn.Module):
    """Reads (B, T, I) and scores each sequence from its last state: what people train."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        self.dropout = nn.Dropout(0.3)
        size = getattr(layer, "proj_size", 0) or H
        self.head = nn.Linear(2 * size, 3, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        output, _ = self.layer(x)
        return self.head(self.dropout(output[:, -1]))


def pair(name: str) -> tuple[Classifier, Classifier, Tensor]:
    """The same model with our layer and with torch.nn's, and something to read."""
    torch.manual_seed(0)
    ours, theirs = KINDS[name].pair(
        I, H, num_layers=2, bidirectional=True, batch_first=True, dtype=torch.float64, dropout=0.2
    )
    mine, other = Classifier(ours), Classifier(theirs)
    mine.load_state_dict(other.state_dict())
    return mine, other, torch.randn(B, T, I, dtype=torch.float64)


@pytest.mark.parametrize("name", KINDS)
def test_gradients_in_evaluation(name):
    mine, other, x = pair(name)
    found = []
    for model in (mine.eval(), other.eval()):
        read = x.clone().requires_grad_()
        loss = F.cross_entropy(model(read), torch.tensor([0, 1, 2, 1]))
        found.append(torch.autograd.grad(loss, [read, *model.parameters()]))
    for a, b in zip(*found, strict=True):
        assert_close(a, b, kind="gradient")


@pytest.mark.parametrize("name", KINDS)
def test_integrated_gradients(name):
    """Captum's (Sundararajan, Taly and Yan 2017): with torch.nn's layer, and complete: they sum to
    what the output differs by between the input and the baseline.
    """
    attr = pytest.importorskip("captum.attr")
    mine, other, x = pair(name)
    targets = torch.tensor([0, 2, 1, 0])
    # where the slope jumps, as relu's does, the integral converges slowly
    jumps = name == "rnn-relu"
    rule = {"n_steps": 1000, "method": "riemann_middle"} if jumps else {"n_steps": 100}
    found = []
    for model in (mine.eval(), other.eval()):
        explain = attr.IntegratedGradients(model)
        found.append(explain.attribute(x, target=targets, **rule))
    assert_close(found[0], found[1], kind="gradient")
    with torch.no_grad():
        rise = (mine(x) - mine(torch.zeros_like(x))).gather(1, targets[:, None]).squeeze(1)
    torch.testing.assert_close(found[0].sum((1, 2)), rise, rtol=0, atol=1e-4 if jumps else 1e-6)


def test_integrated_gradients_of_token_embeddings():
    """By way of Captum's layer hooks, as one explains a text classifier."""
    attr = pytest.importorskip("captum.attr")
    mine, other, _ = pair("lstm")
    embedding = nn.Embedding(V, I, dtype=torch.float64)
    tokens = torch.randint(V, (B, T))
    found = []
    for model in (mine, other):
        whole = nn.Sequential(embedding, model).eval()
        explain = attr.LayerIntegratedGradients(whole, embedding)
        found.append(explain.attribute(tokens, torch.zeros_like(tokens), target=1, n_steps=20))
    assert_close(found[0], found[1], kind="gradient")


@pytest.mark.parametrize("method", ["Saliency", "InputXGradient"])
def test_other_attributions_of_captum(method):
    attr = pytest.importorskip("captum.attr")
    mine, other, x = pair("lstm")
    found = [
        getattr(attr, method)(model.eval()).attribute(x.clone().requires_grad_(), target=1)
        for model in (mine, other)
    ]
    assert_close(found[0], found[1], kind="gradient")


@pytest.mark.parametrize("name", KINDS)
def test_per_sample_gradients(name):
    """By vmap over grad, against one sample after the other, and against torch.nn's layer."""
    mine, other, x = pair(name)
    mine.eval()
    other.eval()
    targets = torch.tensor([0, 1, 2, 1])
    weights = {key: p.detach() for key, p in mine.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor, target: Tensor) -> Tensor:
        scores = functional_call(mine, weights, (x[None],))
        return F.cross_entropy(scores, target[None])

    found = vmap(grad(loss), in_dims=(None, 0, 0))(weights, x, targets)
    for b in range(B):
        one = F.cross_entropy(other(x[b : b + 1]), targets[b : b + 1])
        expected = torch.autograd.grad(one, list(other.parameters()))
        for (key, _), d in zip(other.named_parameters(), expected, strict=True):
            assert_close(found[key][b], d, key, kind="gradient")


@pytest.mark.parametrize("name", PLAIN)
def test_per_sample_gradients_are_not_mixed(name):
    """A sample's own gradient does not change with what else is in the batch."""
    mine, _, x = pair(name)
    mine.eval()
    weights = {key: p.detach() for key, p in mine.named_parameters()}

    def loss(weights: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(mine, weights, (x[None],)).square().sum()

    per_sample = vmap(grad(loss), in_dims=(None, 0))
    found, others = per_sample(weights, x), x.clone()
    others[1:] = torch.randn_like(others[1:])
    for key, d in per_sample(weights, others).items():
        assert_close(d[0], found[key][0], key, kind="gradient")


@pytest.mark.parametrize("mode", ["train", "eval"])
@pytest.mark.parametrize("name", KINDS)
def test_a_gradient_penalty(name, mode):
    """The gradient of a gradient's norm (Gulrajani et al. 2017), with torch.nn's layer."""
    mine, other, x = pair(name)
    found = []
    for model in (mine, other):
        getattr(model, mode)()
        torch.manual_seed(7)  # the same hidden states are dropped
        read = x.clone().requires_grad_()
        (d,) = torch.autograd.grad(model(read).sum(), read, create_graph=True)
        penalty = (d.flatten(1).norm(dim=1) - 1).square().mean()
        leaves = [read, *model.parameters()]
        grads = torch.autograd.grad(penalty, leaves, allow_unused=True)
        found.append([penalty, *grads])
    for a, b in zip(*found, strict=True):
        if b is None:
            assert a is None or torch.count_nonzero(a) == 0
        else:
            assert_close(a, b, kind="gradient")


@pytest.mark.parametrize("name", PLAIN)
def test_a_hessian_times_a_vector(name):
    mine, other, x = pair(name)
    v = torch.randn_like(x)
    found = []
    for model in (mine.eval(), other.eval()):

        def scalar(x: Tensor, model: Classifier = model) -> Tensor:
            return model(x).square().sum()

        found.append(torch.autograd.functional.hvp(scalar, x, v)[1])
    assert_close(found[0], found[1], kind="gradient")


def test_frozen_weights_with_a_gradient_of_the_input():
    """As in explaining a trained model: nothing but the input wants a gradient."""
    mine, other, x = pair("lstm")
    found = []
    for model in (mine.eval().requires_grad_(False), other.eval().requires_grad_(False)):
        read = x.clone().requires_grad_()
        model(read)[:, 0].sum().backward()
        assert all(p.grad is None for p in model.parameters())
        found.append(read.grad)
    assert_close(found[0], found[1], kind="gradient")
