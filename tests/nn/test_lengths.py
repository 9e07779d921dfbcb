"""`lengths=`: padded input, sorted or not, is what torch.nn gives for the packed sequence."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.subjects import NAMES
from tests.nn.pairs import KINDS, PLAIN, assert_same, initial, leaves
from tests.tolerances import assert_close
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import glasscell

T, B, I, H = 6, 5, 3, 4
LENGTHS = {
    "sorted": [6, 5, 3, 3, 1],
    "unsorted": [3, 1, 6, 3, 5],
    "shorter than the padding": [2, 4, 4, 1, 3],
    "whole": [6] * 5,
    "all alike": [4] * 5,
    "one step": [1] * 5,
}

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def through_packing(layer, x, hx, lengths):
    packed = pack_padded_sequence(x, torch.tensor(lengths), layer.batch_first, enforce_sorted=False)
    output, last = layer(packed, hx)
    steps = x.shape[1 if layer.batch_first else 0]
    return pad_packed_sequence(output, layer.batch_first, total_length=steps)[0], last


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("batch_first", [False, True], ids=["steps-first", "batch-first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one-way", "both-ways"])
@pytest.mark.parametrize("case", LENGTHS)
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_lengths_are_torchs_packed_sequence(kind, case, bidirectional, batch_first, engine):
    options = {"num_layers": 2, "bidirectional": bidirectional, "batch_first": batch_first}
    ours, theirs = kind.pair(I, H, **options, engine=engine, dtype=torch.float64)
    x = torch.randn((B, T, I) if batch_first else (T, B, I), dtype=torch.float64)
    x.requires_grad_()
    hx, lengths = initial(theirs, B), LENGTHS[case]
    assert_same(
        ours,
        theirs,
        lambda: ours(x, hx, lengths=lengths),
        lambda: through_packing(theirs, x, hx, lengths),
        *leaves(x, hx),
    )


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_padding_is_never_read_and_always_zero_in_the_output(kind, engine):
    """Whatever lies after a sequence's end, NaN included, reaches no output and no gradient."""
    layer = kind.ours(I, H, num_layers=2, bidirectional=True, engine=engine)
    lengths = LENGTHS["unsorted"]
    x = torch.randn(T, B, I)
    clean = layer(x, lengths=lengths)[0]
    for b, n in enumerate(lengths):
        x[n:, b] = float("nan")
    x.requires_grad_()
    output, last = layer(x, lengths=lengths)
    assert torch.equal(output, clean)
    last_states = last if isinstance(last, tuple) else (last,)
    (output.sum() + sum(state.sum() for state in last_states)).backward()
    for b, n in enumerate(lengths):
        assert torch.equal(output[n:, b], torch.zeros(T - n, 2 * H))
        assert x.grad is not None
        assert torch.equal(x.grad[n:, b], torch.zeros(T - n, I))
    for weight in layer.parameters():
        assert weight.grad is not None
        assert torch.isfinite(weight.grad).all()


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_last_states_are_those_at_each_own_end(kind):
    layer = kind.ours(I, H, bidirectional=True, dtype=torch.float64)
    lengths = LENGTHS["unsorted"]
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, last = layer(x, lengths=lengths)
    h_n = last[0] if kind.has_cell_state else last
    for b, n in enumerate(lengths):
        assert_close(h_n[0, b], output[n - 1, b, :H])
        assert_close(h_n[1, b], output[0, b, H:])
        alone, alone_last = layer(x[:n, b])
        assert_close(output[:n, b], alone)
        if kind.has_cell_state:
            assert_close(last[1][:, b], alone_last[1])


@pytest.mark.parametrize(
    "given",
    [
        [3, 1, 6, 3, 5],
        (3, 1, 6, 3, 5),
        torch.tensor([3, 1, 6, 3, 5]),
        torch.tensor([3, 1, 6, 3, 5], dtype=torch.int32),
        torch.tensor([3, 1, 6, 3, 5], dtype=torch.uint8),
        np.array([3, 1, 6, 3, 5]),
    ],
    ids=["list", "tuple", "int64", "int32", "uint8", "numpy"],
)
def test_lengths_come_as_any_whole_numbers(given):
    layer = glasscell.LSTM(I, H)
    x = torch.randn(T, B, I)
    expected = through_packing(layer, x, None, [3, 1, 6, 3, 5])[0]
    assert_close(layer(x, lengths=given)[0], expected)


BAD = {
    "zero": ([6, 5, 0, 3, 1], ValueError, "got 0 for sequence 2"),
    "negative": ([6, 5, 3, -3, 1], ValueError, "got -3 for sequence 3"),
    "too long": ([7, 5, 3, 3, 1], ValueError, r"expected 1 to 6 .*got 7 for sequence 0"),
    "too few": ([6, 5], ValueError, r"expected 5, .* got shape \(2,\)"),
    "too many": ([6] * 6, ValueError, r"expected 5, .* got shape \(6,\)"),
    "a table": ([[6] * 5], ValueError, r"got shape \(1, 5\)"),
    "a number": (6, ValueError, r"got shape \(\)"),
    "floats": ([6.0, 5.0, 3.0, 3.0, 1.0], TypeError, "whole numbers, got torch.float32"),
    "bools": ([True] * 5, TypeError, "whole numbers, got torch.bool"),
    "a float tensor": (torch.ones(5), TypeError, "whole numbers, got torch.float32"),
    "complex": (torch.ones(5, dtype=torch.complex64), TypeError, "whole numbers"),
    "text": ("6", TypeError, "expected"),
    "none inside": ([6, None, 3, 3, 1], TypeError, "expected"),
    "nested": ([[6], [5, 3]], (ValueError, TypeError), "expected"),
}


@pytest.mark.parametrize("batch_first", [False, True], ids=["steps-first", "batch-first"])
@pytest.mark.parametrize("case", BAD)
def test_bad_lengths(case, batch_first):
    lengths, error, message = BAD[case]
    x = torch.randn((B, T, I) if batch_first else (T, B, I))
    with pytest.raises(error, match=f"^lengths: .*{message}"):
        glasscell.GRU(I, H, batch_first=batch_first)(x, lengths=lengths)


def test_lengths_with_what_has_its_own():
    layer = glasscell.LSTM(I, H)
    packed = pack_padded_sequence(torch.randn(T, B, I), torch.tensor([6, 5, 3, 3, 1]))
    with pytest.raises(ValueError, match="lengths: a PackedSequence already knows its lengths"):
        layer(packed, lengths=[6, 5, 3, 3, 1])
    with pytest.raises(ValueError, match=r"lengths: a single sequence \(T, I\) has no padding"):
        layer(torch.randn(T, I), lengths=[T])


def test_an_empty_batch_has_no_lengths():
    output, (h_n, c_n) = glasscell.LSTM(I, H)(torch.randn(T, 0, I), lengths=[])
    assert (output.shape, h_n.shape, c_n.shape) == ((T, 0, H), (1, 0, H), (1, 0, H))


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.sampled_from(sorted(PLAIN)),
    st.sampled_from(NAMES),
    st.booleans(),
)
def test_the_order_of_the_batch_does_not_matter(lengths, kind, engine, bidirectional):
    """Shuffling the sequences shuffles the results and nothing else."""
    layer = PLAIN[kind].ours(2, 3, bidirectional=bidirectional, engine=engine, dtype=torch.float64)
    B = len(lengths)
    x, order = torch.randn(6, B, 2, dtype=torch.float64), torch.randperm(B)
    hx = initial(layer, B)
    shuffled = tuple(h[:, order] for h in leaves(x, hx)[1:])
    output, last = layer(x, hx, lengths=lengths)
    again, last_again = layer(
        x[:, order],
        shuffled if isinstance(hx, tuple) else shuffled[0],
        lengths=torch.tensor(lengths)[order],
    )
    assert_close(again, output[:, order])
    for a, b in zip(leaves(x, last_again)[1:], leaves(x, last)[1:], strict=True):
        assert_close(a, b[:, order])


@given(
    st.lists(st.integers(1, 6), min_size=1, max_size=5),
    st.integers(0, 3),
    st.sampled_from(sorted(PLAIN)),
)
def test_more_padding_adds_zeros_and_changes_nothing(lengths, more, kind):
    layer = PLAIN[kind].ours(2, 3, num_layers=2, bidirectional=True)
    x = torch.randn(max(lengths) + more, len(lengths), 2)
    output, last = layer(x, lengths=lengths)
    tight, tight_last = layer(x[: max(lengths)], lengths=lengths)
    assert torch.equal(output[: max(lengths)], tight)
    assert torch.count_nonzero(output[max(lengths) :]) == 0
    for a, b in zip(leaves(x, last)[1:], leaves(x, tight_last)[1:], strict=True):
        assert torch.equal(a, b)
