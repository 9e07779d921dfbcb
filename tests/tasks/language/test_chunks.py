"""Parallel streams and truncated backpropagation through time."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glasscell.tasks.language.chunks import Streams, fitting_streams
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig, detach


@given(n=st.integers(8, 200), streams=st.integers(1, 7), chunk=st.integers(1, 20))
def test_streams_are_contiguous_and_predict_the_next_token(n, streams, chunk):
    tokens = torch.arange(n)
    s = Streams(tokens, streams=streams, chunk=chunk)
    inputs, targets = (torch.cat(part) for part in zip(*(s[k] for k in range(len(s))), strict=True))
    assert torch.equal(targets, inputs + 1)
    # Read stream after stream, the inputs are the text; fewer than `streams` tokens are left out.
    assert torch.equal(inputs.t().flatten(), torch.arange(s.predictions))
    assert n - 1 - s.predictions < streams
    lengths = {len(s[k][0]) for k in range(len(s))}
    assert max(lengths) <= chunk
    assert max(lengths) - min(lengths) <= 1


def test_compact_ids_come_out_as_int64():
    inputs, targets = Streams(torch.arange(9, dtype=torch.uint8), streams=2, chunk=4)[0]
    assert inputs.dtype == targets.dtype == torch.int64


def test_shares_are_all_streams():
    s = Streams(torch.arange(61), streams=6, chunk=4)
    parts = [s.share(rank, 3) for rank in range(3)]
    assert sum(part.predictions for part in parts) == s.predictions
    columns = torch.stack([part[1][0] for part in parts], dim=2)  # (T, B/3, 3)
    assert torch.equal(columns.flatten(1), s[1][0])


@pytest.mark.parametrize(("n", "wanted", "streams"), [(10_000, 32, 32), (500, 32, 7), (10, 32, 1)])
def test_short_texts_get_fewer_streams(n, wanted, streams):
    assert fitting_streams(n, wanted=wanted, chunk=64) == streams


def test_streams_are_shared_evenly():
    assert fitting_streams(500, wanted=32, chunk=64, multiple_of=3) == 6
    assert fitting_streams(10, wanted=32, chunk=64, multiple_of=2) == 2


def test_wrong_arguments():
    with pytest.raises(ValueError, match="streams"):
        Streams(torch.arange(9), streams=0, chunk=4)
    with pytest.raises(ValueError, match="at least 10 for 9 streams, got 9"):
        Streams(torch.arange(9), streams=9, chunk=4)
    with pytest.raises(IndexError):
        Streams(torch.arange(9), streams=1, chunk=4)[2]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_carried_state_makes_chunks_the_whole_sequence(cell):
    """Chunk by chunk with the state carried, the loss is that of the uncut sequence; and a single
    chunk that covers everything has its gradient too."""
    torch.manual_seed(1)
    model = LanguageModel(LanguageModelConfig(11, cell, hidden=7, layers=2, embedding=5)).double()
    tokens = torch.randint(11, (61,))
    loss_of = torch.nn.functional.cross_entropy

    def loss(chunk):
        streams, state, total = Streams(tokens, streams=3, chunk=chunk), None, torch.zeros(())
        for k in range(len(streams)):
            inputs, targets = streams[k]
            logits, state = model(inputs, state)
            state = detach(state)
            total = total + loss_of(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        return total / streams.predictions

    whole = Streams(tokens, streams=3, chunk=20)
    logits, _ = model(whole.inputs)
    expected = loss_of(logits.flatten(0, 1), whole.targets.flatten())
    for chunk in (1, 6, 20):
        torch.testing.assert_close(loss(chunk), expected)
    for a, b in zip(
        torch.autograd.grad(loss(20), list(model.parameters())),
        torch.autograd.grad(expected, list(model.parameters())),
        strict=True,
    ):
        torch.testing.assert_close(a, b)
