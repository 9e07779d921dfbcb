"""torch.compile on a caller's model with one of our layers in it."""

from typing import Any

import pytest
import torch
from tests.tolerances import assert_close
from torch import nn

import glasscell

# What PyTorch's compiler itself warns of, and not of our doing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]


class Tagger(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.layer = layer
        self.head = nn.Linear(8, 5)

    def forward(self, tokens, lengths=None):
        x = torch.tanh(self.embedding(tokens))
        output, _ = self.layer(x) if lengths is None else self.layer(x, lengths=lengths)
        return self.head(output).log_softmax(-1)


def trained(model, run, steps: int = 3) -> tuple[list[float], list[torch.Tensor]]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tokens, losses = torch.arange(24).reshape(6, 4) % 11, []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = run(tokens)[..., 0].mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, [weight.detach() for weight in model.parameters()]


def twins(layer_class) -> tuple[Tagger, Tagger]:
    options = {"num_layers": 2, "bidirectional": True}
    plain, compiled = (Tagger(layer_class(3, 4, **options)) for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    torch._dynamo.reset()
    return plain, compiled


def assert_trains_alike(plain, compiled, backend):
    losses, weights = trained(plain, plain)
    compiled_losses, compiled_weights = trained(compiled, torch.compile(compiled, backend=backend))
    assert losses == pytest.approx(compiled_losses, abs=1e-6)
    for a, b in zip(compiled_weights, weights, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("layer_class", [glasscell.LSTM, glasscell.GRU, glasscell.RNN])
def test_a_train_step(layer_class):
    assert_trains_alike(*twins(layer_class), backend="aot_eager")


def test_the_layer_is_not_unrolled():
    """However long the sequence, the graphs around the layer stay the same few."""
    graphs = []

    def count(graph, _):
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    plain, model = twins(glasscell.LSTM)
    run = torch.compile(model, backend=count, dynamic=True)
    with torch.no_grad():
        for T in (5, 50):
            tokens = torch.zeros(T, 2, dtype=torch.long)
            assert_close(run(tokens), plain(tokens))
    assert sum(graphs) < 60


def test_lengths_and_a_trace_in_a_compiled_model():
    plain, model = twins(glasscell.LSTM)
    run: Any = torch.compile(model, backend="eager")
    tokens = torch.arange(24).reshape(6, 4) % 11
    lengths = torch.tensor([6, 2, 4, 1])
    assert_close(run(tokens, lengths), plain(tokens, lengths))
    with glasscell.trace(run) as trace:
        output = run(tokens, lengths)
    assert trace.names == ("layer.l0", "layer.l0_reverse", "layer.l1", "layer.l1_reverse")
    assert_close(output, plain(tokens, lengths))


@pytest.mark.slow
def test_a_train_step_with_inductor():
    assert_trains_alike(*twins(glasscell.LSTM), backend="inductor")
