"""Packed tokens, against a naive loop over (step, sequence) pairs and PyTorch's own packing."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.naive import packed_rows
from tests.tolerances import assert_same_bits
from torch.nn.utils.rnn import pack_padded_sequence

from glasscell.engines import Packing

ragged = st.lists(st.integers(1, 7), min_size=1, max_size=6).map(lambda n: sorted(n, reverse=True))


def states(lengths: list[int]) -> tuple[dict, torch.Tensor, torch.Tensor]:
    """(t, b) -> a number of its own; the same packed (N, 1); and the initial states (B, 1)."""
    value = {(t, b): 100.0 * b + t for t, b in packed_rows(lengths)}
    packed = torch.tensor([[value[row]] for row in packed_rows(lengths)])
    return value, packed, -1.0 - torch.arange(len(lengths)).float()[:, None]


@given(ragged)
def test_the_layout_is_pytorchs(lengths):
    packing = Packing.from_lengths(torch.tensor(lengths))
    x = torch.randn(max(lengths), len(lengths), 2)
    theirs = pack_padded_sequence(x, torch.tensor(lengths))
    assert packing.batch_sizes == tuple(theirs.batch_sizes.tolist())
    assert packing.lengths.tolist() == lengths
    t, b = packing.step_and_sequence()
    assert torch.equal(x[t, b], theirs.data)


@given(ragged)
def test_sizes(lengths):
    packing = Packing.from_lengths(torch.tensor(lengths))
    assert (max(lengths), len(lengths), sum(lengths)) == (packing.T, packing.B, packing.N)
    assert packing.is_dense == (min(lengths) == max(lengths))
    rows = packed_rows(lengths)
    assert list(zip(*(v.tolist() for v in packing.step_and_sequence()), strict=True)) == rows
    for t in range(packing.T):
        assert packing.offsets[t] == next(k for k, row in enumerate(rows) if row[0] == t)
    assert packing.offsets[-1] == sum(lengths)


@given(ragged, st.booleans())
def test_steps_visit_every_row_once_in_the_recurrences_order(lengths, reverse):
    packing = Packing.from_lengths(torch.tensor(lengths))
    rows = packed_rows(lengths)
    visited = [[rows[k] for k in range(s.start, s.stop)] for s in packing.steps(reverse)]
    order = range(max(lengths))
    expected = [[row for row in rows if row[0] == t] for t in (order[::-1] if reverse else order)]
    assert visited == expected


@given(ragged, st.booleans())
def test_previous_is_one_step_earlier_in_the_same_sequence(lengths, reverse):
    value, packed, initial = states(lengths)
    packing = Packing.from_lengths(torch.tensor(lengths))
    step = 1 if reverse else -1
    expected = [
        value.get((t + step, b), float(initial[b])) for t, b in packed_rows(lengths)
    ]  # a pair that is no token lies before the sequence's start
    assert packing.previous(packed, initial, reverse).flatten().tolist() == expected


@given(ragged, st.booleans())
def test_last_is_where_each_sequence_ends(lengths, reverse):
    value, packed, _ = states(lengths)
    packing = Packing.from_lengths(torch.tensor(lengths))
    expected = [value[0 if reverse else n - 1, b] for b, n in enumerate(lengths)]
    assert packing.last(packed, reverse).flatten().tolist() == expected


@given(ragged)
def test_backwards_turns_every_sequence_around(lengths):
    value, packed, _ = states(lengths)
    packing = Packing.from_lengths(torch.tensor(lengths))
    expected = [value[lengths[b] - 1 - t, b] for t, b in packed_rows(lengths)]
    turned = packed.index_select(0, packing.backwards)
    assert turned.flatten().tolist() == expected
    assert torch.equal(turned.index_select(0, packing.backwards), packed)


@given(ragged)
def test_previous_of_the_reversed_is_next(lengths):
    """Two ways to the same: going back by one in reverse, or turning around twice."""
    _, packed, initial = states(lengths)
    packing = Packing.from_lengths(torch.tensor(lengths))
    turned = packing.previous(packed[packing.backwards], initial)[packing.backwards]
    assert torch.equal(packing.previous(packed, initial, reverse=True), turned)


@pytest.mark.parametrize(("T", "B"), [(1, 1), (3, 17), (17, 3), (5, 0)])
def test_a_dense_batch_is_every_step_whole(T, B):
    packing = Packing.dense(T, B)
    assert packing.is_dense
    assert (packing.T, packing.B, packing.N) == (T, B, T * B)
    assert packing.lengths.tolist() == [T] * B
    if B:
        assert packing == Packing.from_lengths(torch.tensor([T] * B))


@given(ragged, st.booleans())
def test_gradients_reach_the_states_they_came_from(lengths, reverse):
    _, packed, initial = states(lengths)
    packed.requires_grad_()
    initial.requires_grad_()
    packing = Packing.from_lengths(torch.tensor(lengths))
    weight = torch.randn(packing.N, 1)
    (packing.previous(packed, initial, reverse) * weight).sum().backward()
    row = {pair: k for k, pair in enumerate(packed_rows(lengths))}
    step = 1 if reverse else -1
    expected, expected_initial = torch.zeros_like(packed), torch.zeros_like(initial)
    for (t, b), k in row.items():
        if (t + step, b) in row:
            expected[row[t + step, b]] += weight[k]
        else:
            expected_initial[b] += weight[k]
    assert_same_bits(packed.grad, expected)
    assert_same_bits(initial.grad, expected_initial)
