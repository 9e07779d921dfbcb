"""Every shape torch.nn takes, drawn at random, and the edges: no batch, strange strides."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.subjects import NAMES
from tests.nn.pairs import KINDS, PLAIN, assert_same, flat, initial, leaves
from tests.tolerances import assert_close

import glasscell

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


@given(
    kind=st.sampled_from(sorted(KINDS)),
    engine=st.sampled_from(NAMES),
    sizes=st.tuples(*[st.integers(1, 5)] * 3, st.integers(3, 6)),
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    batch_first=st.booleans(),
    unbatched=st.booleans(),
    with_hx=st.booleans(),
)
def test_any_shape(kind, engine, sizes, num_layers, bidirectional, batch_first, unbatched, with_hx):
    T, B, I, H = sizes
    ours, theirs = KINDS[kind].pair(
        I, H, num_layers=num_layers, bidirectional=bidirectional, batch_first=batch_first,
        engine=engine, dtype=torch.float64,
    )  # fmt: skip
    shape = (T, I) if unbatched else (B, T, I) if batch_first else (T, B, I)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    hx = initial(theirs, None if unbatched else B) if with_hx else None
    for a, b in zip(flat(ours(x, hx)), flat(theirs(x, hx)), strict=True):
        assert a.shape == b.shape
    assert_same(ours, theirs, lambda: ours(x, hx), lambda: theirs(x, hx), *leaves(x, hx))


@pytest.mark.parametrize("engine", ["auto", *NAMES])
@pytest.mark.parametrize("recorded", [False, True], ids=["plain", "recorded"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["steps-first", "batch-first"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_an_empty_batch(kind, batch_first, bidirectional, recorded, engine):
    ours, theirs = kind.pair(
        3, 4, num_layers=2, bidirectional=bidirectional, batch_first=batch_first, engine=engine
    )
    if recorded:
        ours.register_record_hook(lambda *_: None)
    x = torch.randn((0, 5, 3) if batch_first else (5, 0, 3), requires_grad=True)
    for hx in (None, initial(theirs, 0, torch.float32)):
        other, mine = flat(theirs(x, hx)), flat(ours(x, hx))
        for a, b in zip(mine, other, strict=True):
            assert a.shape == b.shape
            assert a.dtype == b.dtype
        torch.stack([each.sum() for each in mine]).sum().backward()
        for weight in ours.parameters():
            assert torch.count_nonzero(weight.grad) == 0


STRIDED = {
    "every other feature": lambda: torch.randn(6, 5, 6)[..., ::2],
    "every other sequence": lambda: torch.randn(6, 10, 3)[:, ::2],
    "every other step": lambda: torch.randn(12, 5, 3)[::2],
    "transposed": lambda: torch.randn(5, 6, 3).transpose(0, 1),
    "turned over": lambda: torch.randn(3, 5, 6).permute(2, 1, 0),
    "one sequence for all": lambda: torch.randn(6, 1, 3).expand(6, 5, 3),
    "one number for all": lambda: torch.randn(1, 1, 1).expand(6, 5, 3),
}


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("lengths", [None, [3, 1, 6, 3, 5]], ids=["dense", "ragged"])
@pytest.mark.parametrize("case", STRIDED)
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_strides_do_not_matter(kind, case, lengths, engine):
    layer = kind.ours(3, 4, num_layers=2, bidirectional=True, engine=engine)
    x = STRIDED[case]()
    expected = flat(layer(x.contiguous(), lengths=lengths))
    for a, b in zip(flat(layer(x, lengths=lengths)), expected, strict=True):
        assert torch.equal(a, b)
    hx = initial(layer, 5, torch.float32)
    strided = [h.transpose(0, 1).contiguous().transpose(0, 1) for h in leaves(x, hx)[1:]]
    again = layer(x, tuple(strided) if isinstance(hx, tuple) else strided[0], lengths=lengths)
    for a, b in zip(flat(again), flat(layer(x, hx, lengths=lengths)), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_the_state_is_carried_from_chunk_to_chunk(kind):
    layer = kind.ours(3, 4, num_layers=2, dtype=torch.float64)
    x = torch.randn(12, 2, 3, dtype=torch.float64)
    output, last = layer(x)
    hx, pieces = None, []
    for chunk in x.split(5):
        piece, hx = layer(chunk, hx)
        pieces.append(piece)
    assert_close(torch.cat(pieces), output)
    for a, b in zip(leaves(x, hx)[1:], leaves(x, last)[1:], strict=True):
        assert_close(a, b)


def test_inputs_are_not_changed():
    layer = glasscell.LSTM(3, 4, bidirectional=True)
    x, (h_0, c_0) = torch.randn(6, 5, 3), initial(layer, 5, torch.float32)
    before = [t.clone() for t in (x, h_0, c_0)]
    layer.register_record_hook(lambda *_: None)
    for engine in NAMES:
        layer.engine = engine
        layer(x, (h_0, c_0), lengths=[3, 1, 6, 3, 5])
    assert all(torch.equal(a, b) for a, b in zip((x, h_0, c_0), before, strict=True))
