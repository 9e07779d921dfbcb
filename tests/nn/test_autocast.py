"""torch.autocast on the CPU: the same results and dtypes as torch.nn."""

import pytest
import torch
from tests.nn.pairs import PLAIN, flat, initial
from tests.tolerances import assert_close
from torch import nn

import glasscell

X = torch.randn(6, 5, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("layout", ["dense", "unbatched"])
@pytest.mark.parametrize("with_hx", [True, False], ids=["hx", "zeros"])
@pytest.mark.parametrize("input_dtype", ["as-weights", "as-autocast"])
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_like_torch(kind, input_dtype, with_hx, layout):
    dtype = torch.bfloat16
    ours, theirs = kind.pair(3, 4, num_layers=2, bidirectional=True)
    x = X if input_dtype == "as-weights" else X.to(dtype)
    x = x[:, 0] if layout == "unbatched" else x
    hx = initial(theirs, None if layout == "unbatched" else 5, x.dtype) if with_hx else None
    with torch.autocast("cpu", dtype=dtype):
        mine, other = flat(ours(x, hx)), flat(theirs(x, hx))
    for a, b in zip(mine, other, strict=True):
        assert a.dtype == b.dtype
        assert_close(a, b, dtype=dtype)
    ds = [torch.randn_like(each) for each in other]
    found = torch.autograd.grad(mine, list(ours.parameters()), ds)
    expected = torch.autograd.grad(other, list(theirs.parameters()), ds)
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype
        assert_close(a, b, dtype=dtype, kind="gradient")


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_the_reference_gives_the_same_dtypes(kind):
    ours, theirs = kind.pair(3, 4, num_layers=2, engine="reference")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mine, other = flat(ours(X)), flat(theirs(X))
    for a, b in zip(mine, other, strict=True):
        assert a.dtype == b.dtype
        assert_close(a, b, dtype=torch.bfloat16)
    torch.stack([each.float().sum() for each in mine]).sum().backward()
    gradients = [weight.grad for weight in ours.parameters()]
    assert {g.dtype for g in gradients if g is not None} == {torch.float32}


@pytest.mark.parametrize("engine", ["auto", "reference"])
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_float64_stays_float64(kind, engine):
    ours, theirs = (layer.double() for layer in kind.pair(3, 4, engine=engine))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mine, other = flat(ours(X.double())), flat(theirs(X.double()))
    for a, b in zip(mine, other, strict=True):
        assert a.dtype == b.dtype == torch.float64
        assert_close(a, b)


@pytest.mark.parametrize("name", ["LSTMCell", "GRUCell", "RNNCell"])
def test_cells_like_torchs(name):
    ours, theirs = getattr(glasscell, name)(3, 4), getattr(nn, name)(3, 4)
    ours.load_state_dict(theirs.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mine, other = ours(X[0]), theirs(X[0])
    for a, b in zip(*((v if isinstance(v, tuple) else (v,)) for v in (mine, other)), strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


def test_autocast_ends_with_its_block():
    layer = glasscell.LSTM(3, 4, engine="reference")
    expected = layer(X)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layer(X)
        assert torch.is_autocast_enabled("cpu")
    found = layer(X)[0]
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
