"""Edits of torch.nn's own layers, of one-step cells, of streams and of compiled models."""

import copy
import pickle
from typing import Any

import pytest
import torch
from tests.tolerances import assert_close, assert_same_bits
from tests.tracing.models import LAYERS, Loop, make
from torch import nn

import glasscell
from glasscell.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")

T, B = 6, 5


# torch.nn's own layers


@pytest.mark.parametrize("name", [name for name in LAYERS if name.startswith("torch")])
def test_torchs_layer_becomes_itself_again(name):
    layer = make(name, num_layers=2, dropout=0.5)
    x = torch.randn(T, B, 3)
    torch.manual_seed(1)
    plain = layer(x)[0]
    before = dict(layer.__dict__)
    with glasscell.edit(layer, "l1", "hidden", set=0.0):
        with glasscell.edit(layer, "l0", "hidden", set=0.0):
            assert (layer(x)[0] == 0).all()
        assert (layer(x)[0] == 0).all()
    assert layer.__dict__.keys() == before.keys()
    torch.manual_seed(1)
    assert_same_bits(layer(x)[0], plain)


def test_torchs_layer_in_training_drops_the_same_and_learns():
    lstm = nn.LSTM(3, 4, num_layers=2, dropout=0.5, dtype=torch.float64)
    x = torch.randn(T, B, 3, dtype=torch.float64)
    torch.manual_seed(1)
    plain = lstm(x)[0]
    plain.sum().backward()
    gradients = [weight.grad for weight in lstm.parameters()]
    lstm.zero_grad()
    torch.manual_seed(1)
    with glasscell.edit(lstm, "l0", "cell", scale=1.0):
        edited = lstm(x)[0]
    edited.sum().backward()
    assert_close(edited, plain)
    for weight, gradient in zip(lstm.parameters(), gradients, strict=True):
        assert gradient is not None
        assert_close(weight.grad, gradient, kind="gradient")


def test_a_parametrised_layer_of_torchs():
    lstm: Any = nn.utils.parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    x = torch.randn(T, B, 3)
    plain = lstm(x)[0]
    with glasscell.edit(lstm, "l0", "cell", steps=[5], units=[0], add=0.0):
        assert_close(lstm(x)[0], plain)
        lstm.parametrizations.weight_hh_l0.original0.data.mul_(2)
        doubled = lstm(x)[0]
    assert_close(doubled, lstm(x)[0])
    assert (doubled - plain).abs().max() > 1e-3


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize(
    "through", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_a_copy_made_inside_the_block_is_not_edited(library, through):
    model = nn.ModuleList([library.GRU(3, 4), library.GRUCell(3, 4)])
    x = torch.randn(T, B, 3)
    layer, cell = model
    plain = layer(x)[0], cell(x[0])
    with (
        glasscell.edit(model, "0.l0", "hidden", set=0.0),
        glasscell.edit(model, "1", "hidden", set=0.0),
    ):
        again = through(model)
        assert_close(again[0](x)[0], plain[0])
        assert_close(again[1](x[0]), plain[1])
        assert (layer(x)[0] == 0).all()
        assert (cell(x[0]) == 0).all()
    assert_close(again[0](x)[0], plain[0])
    assert_close(layer(x)[0], plain[0])


# Step by step


@pytest.mark.parametrize("library", [glasscell, nn])
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_cells_count_their_calls(library, kind):
    """A cell called step by step, against the layer with the same weights and the same edit."""
    cell = getattr(library, f"{kind}Cell")(3, 4, dtype=torch.float64)
    layer = getattr(glasscell, kind)(3, 4, dtype=torch.float64)
    layer.load_state_dict({f"{name}_l0": weight for name, weight in cell.state_dict().items()})
    x = torch.randn(T, B, 3, dtype=torch.float64)
    values = torch.rand(T, B, 4, dtype=torch.float64)
    loop = Loop(cell)
    some: tuple[dict[str, Any], ...] = (
        {"units": [1], "steps": slice(1, 4)},
        {"steps": [0, 2], "batch": [3]},
    )
    for where in some:
        with glasscell.edit(layer, "l0", "hidden", set=values, **where):
            wanted = layer(x)[0]
        with glasscell.edit(loop, "cell", "hidden", set=values, **where):
            with glasscell.trace(loop) as trace:
                loop(x)
            assert_close(trace["cell"].hidden, wanted)
        with glasscell.edit(loop, "cell", "hidden", set=values, **where):
            loop(x)  # and counted anew
    with (
        glasscell.edit(loop, "cell", "hidden", steps=-1, set=0.0),
        pytest.raises(InputError, match="no known end"),
    ):
        loop(x)


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_streams_are_edited_too(kind):
    layer = getattr(glasscell, kind)(3, 4, num_layers=2, batch_first=True)
    x, values = torch.randn(B, T, 3), torch.rand(B, T, 4)
    where = {"units": [0, 2], "steps": slice(2, 5)}
    stream = glasscell.stream(layer)
    plain = layer(x)[0]
    with glasscell.edit(layer, "l0", "hidden", set=values, **where):
        wanted = layer(x)[0]
        found = torch.stack([stream.step(x[:, t]) for t in range(T)], 1)
    assert_close(found, wanted)
    assert (wanted - plain).abs().max() > 1e-3
    stream.reset()
    assert_close(torch.stack([stream.step(x[:, t]) for t in range(T)], 1), plain)


@pytest.mark.parametrize("library", [glasscell, nn])
def test_a_compiled_model_is_edited(library):
    lstm = library.LSTM(3, 4)
    model: Any = torch.compile(lstm, backend="eager")
    x = torch.randn(T, B, 3)
    plain = model(x)[0]
    with glasscell.edit(model, "l0", "hidden", units=[2], set=0.5):
        edited = model(x)[0]
    assert (edited[..., 2] == 0.5).all()
    assert_close(model(x)[0], plain)
    torch._dynamo.reset()
