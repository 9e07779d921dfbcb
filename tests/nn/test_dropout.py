"""Dropout between layers: torch.nn's, number by number for the same seed."""

import pytest
import torch
from tests.engines.subjects import NAMES
from tests.nn.pairs import KINDS, PLAIN, flat
from tests.tolerances import assert_close
from torch.nn.utils.rnn import pack_padded_sequence

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def laid_out(x: torch.Tensor, layout: str):
    if layout == "packed":
        return pack_padded_sequence(x, torch.tensor([3, 1, 6, 3, 5]), enforce_sorted=False)
    return x[:, 0] if layout == "unbatched" else x


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("p", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("layout", ["dense", "batch_first", "packed", "unbatched"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_same_seed_drops_the_same_units(kind, layout, p, engine):
    ours, theirs = kind.pair(
        3, 8, num_layers=3, bidirectional=True, dropout=p, engine=engine,
        batch_first=layout == "batch_first",
    )  # fmt: skip
    x = torch.randn(6, 5, 3, requires_grad=True)
    grads, outputs, after = [], [], []
    for layer in (ours, theirs):
        torch.manual_seed(5)
        outputs.append(flat(layer(laid_out(x, layout))))
        after.append(torch.get_rng_state())
        loss = torch.stack([each.square().sum() for each in outputs[-1]]).sum()
        grads.append(torch.autograd.grad(loss, [x, *layer.parameters()]))
    for a, b in zip(*outputs, strict=True):
        assert_close(a, b)
        if engine == "torch" and layout != "packed":  # packed backwards, sums are ordered otherwise
            assert torch.equal(a, b)
    for a, b in zip(*grads, strict=True):
        assert_close(a, b, kind="gradient")
    assert torch.equal(*after)


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_nothing_is_dropped_in_evaluation(kind):
    ours, theirs = kind.pair(3, 8, num_layers=3, dropout=0.5)
    ours.eval()
    theirs.eval()
    x = torch.randn(6, 5, 3)
    before = torch.get_rng_state()
    assert_close(ours(x)[0], theirs(x)[0])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_two_runs_in_training_drop_different_units(kind):
    layer = kind.ours(3, 8, num_layers=2, dropout=0.5)
    x = torch.randn(6, 5, 3)
    assert not torch.equal(layer(x)[0], layer(x)[0])
