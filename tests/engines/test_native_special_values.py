"""NaN, infinities and huge numbers: where they arise, how far they reach, what they saturate."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import Leaves, call_of, exact, gradients, leaves, loss_on
from tests.engines.subjects import NATIVE, NEEDS_KERNELS
from tests.tolerances import assert_close, assert_same_bits

from glasscell import ops
from glasscell.engines import Packing, Record

LENGTHS = [6, 5, 5, 3, 2, 1]
SQUASHED = [name for name in SUBJECTS if name != "rnn-relu"]  # relu's infinity stays one
DTYPES = pytest.mark.parametrize("dtype", NATIVE.dtypes, ids=str)
NAN = float("nan")

pytestmark = NEEDS_KERNELS


def run(name: str, tensors: Leaves, lengths: list[int], reverse: bool = False) -> Record:
    return ops.run(call_of(name, tensors, lengths, reverse), "native")


def changed(tensors: Leaves, letter: int, index, value: float) -> Leaves:
    tensors = [t if t is None else t.detach().clone() for t in tensors]
    tensors[letter][index] = value
    return [t if t is None else t.requires_grad_() for t in tensors]


@pytest.mark.parametrize("where", ["x", "h_0"])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@DTYPES
@pytest.mark.parametrize("name", SUBJECTS)
def test_nan_in_one_sequence_reaches_neither_the_others_nor_the_past(name, dtype, reverse, where):
    packing = Packing.from_lengths(torch.tensor(LENGTHS))
    step, sequence = packing.step_and_sequence()
    b, t = 2, 1
    clean = leaves(name, LENGTHS, 5, 19, dtype)
    token = int(((sequence == b) & (step == t)).nonzero())
    sick = changed(clean, 0, (token, 3), NAN) if where == "x" else changed(clean, 1, (b, 3), NAN)
    visited = step >= t if not reverse else step <= t
    reached = (sequence == b) & visited if where == "x" else sequence == b

    expected, found = run(name, clean, LENGTHS, reverse), run(name, sick, LENGTHS, reverse)
    for key in ("h", "c", "gates", "pre"):
        value = getattr(found, key)
        if value is not None:
            assert value[reached].isnan().all()
            assert_same_bits(value[~reached], getattr(expected, key)[~reached], key)
    ds = loss_on(expected)
    found_d, expected_d = gradients(found, ds, sick), gradients(expected, ds, clean)
    others = torch.arange(len(LENGTHS)) != b
    assert_same_bits(found_d["x"][sequence != b], expected_d["x"][sequence != b])
    assert_same_bits(found_d["h_0"][others], expected_d["h_0"][others])


@DTYPES
@pytest.mark.parametrize("name", [name for name in SUBJECTS if SUBJECTS[name].bias])
def test_nan_in_one_unit_reaches_no_other_unit_in_the_same_step(name, dtype):
    tensors = leaves(name, [1, 1, 1], 3, 37, dtype)
    G, j = SUBJECTS[name].cell.G, 20
    expected = run(name, tensors, [1, 1, 1])
    for g in range(G):
        found = run(name, changed(tensors, 5, g * 37 + j, NAN), [1, 1, 1])
        others = torch.arange(37) != j
        for key in ("gates", "pre", *(["c"] if found.c is not None else [])):
            value = getattr(found, key)
            assert_same_bits(value[..., others], getattr(expected, key)[..., others], key)
        assert found.pre is not None
        assert found.pre[:, g, j].isnan().all()


@pytest.mark.parametrize("value", [1e30, -1e30, math.inf, -math.inf])
@DTYPES
@pytest.mark.parametrize("name", SQUASHED)
def test_huge_preactivations_saturate_every_gate(name, dtype, value):
    tensors = leaves(name, LENGTHS, 5, 19, dtype)
    with torch.no_grad():
        tensors[0].fill_(value)
        tensors[3].abs_()  # W
    record = run(name, tensors, LENGTHS)
    assert record.pre is not None
    assert record.gates is not None
    assert (record.pre.abs() >= 1e28).all()
    for k, gate in enumerate(SUBJECTS[name].cell.gates):
        least, greatest = gate.squash.range
        assert (record.gates[:, k] == (greatest if value > 0 else least)).all(), gate.name
    assert record.h.isfinite().all()
    if math.isfinite(value):
        for letter, gradient in gradients(record, loss_on(record), tensors).items():
            assert gradient.isfinite().all(), letter


SPECIAL = (NAN, math.inf, -math.inf, 1e30, -1e30, 1e-40, 0.0, -0.0)


@settings(max_examples=300)
@given(
    name=st.sampled_from(SQUASHED),
    dtype=st.sampled_from(NATIVE.dtypes),
    places=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from(SPECIAL)),
        min_size=1,
        max_size=4,
        unique_by=lambda place: place[1],
    ),
    H=st.sampled_from((1, 5, 16, 33)),
    reverse=st.booleans(),
)
def test_special_values_do_as_in_the_reference(name, dtype, places, H, reverse):
    """At most one a sequence, in x, h_0 or c_0, so that their sums depend on no order."""
    torch.manual_seed(0)
    lengths = [3, 3, 2, 1]
    tensors = [t if t is None else t.detach() for t in leaves(name, lengths, 3, H, dtype)]
    for letter, b, value in places:
        if tensors[letter] is not None:
            tensors[letter][b, 0] = value
    found = run(name, tensors, lengths, reverse)
    oracle = ops.run(call_of(name, exact(tensors), lengths, reverse), "reference")
    for key in ("gates", "h", "c"):
        value, expected = getattr(found, key), getattr(oracle, key)
        if value is None:
            continue
        nan, huge = expected.isnan(), expected.abs() > 1e20
        assert torch.equal(value.isnan(), nan), key
        assert torch.equal(value[huge].sign(), expected[huge].sign().to(dtype)), key
        usual = ~(nan | huge)
        assert_close(value[usual], expected[usual], key, dtype=dtype)
