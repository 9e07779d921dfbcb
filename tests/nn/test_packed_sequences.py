"""A PackedSequence in, a PackedSequence out, as torch.nn has it."""

import pytest
import torch
from tests.engines.subjects import NAMES
from tests.nn.pairs import KINDS, PLAIN, assert_same, flat, initial, leaves
from tests.tolerances import assert_same_bits
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

LENGTHS = [3, 1, 6, 3, 5]

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")


def packed_inputs() -> dict[str, PackedSequence]:
    x = torch.randn(6, 5, 3, dtype=torch.float64)
    lengths = torch.tensor(LENGTHS)
    by_length = torch.tensor(sorted(LENGTHS, reverse=True))
    bare = pack_padded_sequence(x, by_length)
    return {
        "sorted": bare,
        "unsorted": pack_padded_sequence(x, lengths, enforce_sorted=False),
        "bare": PackedSequence(bare.data, bare.batch_sizes),
        "pack_sequence": pack_sequence([x[:n, b] for b, n in enumerate(LENGTHS)], False),
        "dense": pack_padded_sequence(x, torch.tensor([6] * 5)),
        "one token": pack_padded_sequence(x[:1, :1], torch.tensor([1])),
    }


@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("case", packed_inputs())
@pytest.mark.parametrize("with_hx", [True, False], ids=["hx", "zeros"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_packed_in_packed_out(kind, case, with_hx, engine):
    packed = packed_inputs()[case]
    B = int(packed.batch_sizes[0])
    options = {"num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    ours, theirs = kind.pair(3, 4, **options, engine=engine)
    data = packed.data.requires_grad_()
    hx = initial(theirs, B) if with_hx else None
    mine, other = ours(packed, hx)[0], theirs(packed, hx)[0]
    assert isinstance(mine, PackedSequence)
    assert torch.equal(mine.batch_sizes, other.batch_sizes)
    for name in ("sorted_indices", "unsorted_indices"):
        assert_same_bits(getattr(mine, name), getattr(other, name), name)
    assert_same(
        ours, theirs, lambda: ours(packed, hx), lambda: theirs(packed, hx), *leaves(data, hx)
    )


@pytest.mark.parametrize("kind", PLAIN.values(), ids=PLAIN)
def test_batch_first_does_not_concern_a_packed_sequence(kind):
    packed = packed_inputs()["unsorted"]
    ours, theirs = kind.pair(3, 4, batch_first=True, dtype=torch.float64)
    hx = initial(theirs, 5)
    for a, b in zip(flat(ours(packed, hx)), flat(theirs(packed, hx)), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14)


def test_the_output_of_one_layer_is_the_input_of_the_next():
    first, first_torch = PLAIN["lstm"].pair(3, 4, bidirectional=True, dtype=torch.float64)
    second, second_torch = PLAIN["gru"].pair(8, 2, dtype=torch.float64)
    packed = packed_inputs()["unsorted"]
    mine, _ = second(first(packed)[0])
    other, _ = second_torch(first_torch(packed)[0])
    torch.testing.assert_close(mine.data, other.data, rtol=0, atol=1e-14)
