"""Matches against a search that tries every span there is."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import glasscell
from glasscell.analysis import match
from glasscell.analysis.units.spans import count, pack, unpack
from glasscell.errors import InputError

QUANTITY = "forget_gate"  # above 0, as is a threshold taken from it


def counting(on, span, before, after):
    """The units that count for a span of one sequence, straight from the definition."""
    a, z = span
    T = len(on)
    off = [t for t in [*range(a - before, a), *range(z, z + after)] if 0 <= t < T]
    return {
        u
        for u in range(on.shape[1])
        if all(on[t, u] for t in range(a, z)) and not any(on[t, u] for t in off)
    }


def tried_out(sequences, chosen, b, before=0, after=0, top=50, shortest=1, overlapping=False):
    """Every span of every sequence, ranked: (sequence, start, stop, units, extra)."""
    selected = counting(sequences[b], chosen, before, after)
    ranked = []
    for s, on in enumerate(sequences):
        T = len(on)
        every = {
            (a, z): counting(on, (a, z), before, after)
            for a in range(T)
            for z in range(a + 1, T + 1)
        }
        for (a, z), units in every.items():
            common = units & selected
            longer = [every[each] for each in ((a - 1, z), (a, z + 1)) if each in every]
            if not common or any(common <= other for other in longer) or z - a < shortest:
                continue
            if s == b and a < chosen[1] and z > chosen[0]:
                continue
            off = abs((z - a) - (chosen[1] - chosen[0]))
            key = (-len(common), off, s, a, z)
            ranked.append((key, (s, a, z, common, len(units - selected))))
    found = []
    for _, one in sorted(ranked, key=lambda pair: pair[0]):
        s, a, z = one[:3]
        apart = all(s != r or z <= c or a >= d for r, c, d, *_ in found)
        if apart or overlapping:
            found.append(one)
    return sorted(selected), found[:top]


def shown(found):
    units = [unit for _, unit in found.units]
    return units, [
        (*span, {u for u, is_on in zip(units, on, strict=True) if is_on}, extra)
        for span, on, extra in zip(
            found.spans, found.on.tolist(), found.extra.tolist(), strict=True
        )
    ]


def flickering(seed, lengths, H, changes=0.3):
    """Values of units that come on and go off."""
    rng = np.random.default_rng(seed)
    N = sum(lengths)
    turns = rng.random((N, H)) < changes
    level = np.where(np.cumsum(turns, 0) % 2 == rng.integers(0, 2, H), 0.8, -0.8)
    return level + 0.1 * rng.standard_normal((N, H))


@settings(max_examples=400, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 14), min_size=1, max_size=4),
    H=st.sampled_from([1, 2, 5, 8]),
    changes=st.sampled_from([0.1, 0.3, 0.6]),
    before=st.integers(0, 2),
    after=st.integers(0, 2),
    top=st.sampled_from([1, 3, 1000]),
    shortest=st.integers(1, 2),
    overlapping=st.booleans(),
    negative=st.booleans(),
)
def test_it_finds_what_trying_every_span_finds(
    seed, lengths, H, changes, before, after, top, shortest, overlapping, negative
):
    values = flickering(seed, lengths, H, changes)
    threshold = -0.5 if negative else 0.5
    on = values <= threshold if negative else values >= threshold
    sequences = np.split(on, np.cumsum(lengths)[:-1])
    rng = np.random.default_rng(seed)
    b = int(rng.integers(len(lengths)))
    start = int(rng.integers(lengths[b]))
    stop = int(rng.integers(start, lengths[b])) + 1
    options = {"before": before, "after": after, "top": top}
    options |= {"shortest": shortest, "overlapping": overlapping}
    units, expected = tried_out(sequences, (start, stop), b, **options)
    if not units:
        with pytest.raises(InputError, match="threshold: no unit is at"):
            match(values, (start, stop), threshold, b=b, lengths=lengths, **options)
        return
    found = match(values, (start, stop), threshold, b=b, lengths=lengths, **options)
    assert shown(found) == (units, expected)
    assert found.overlap.tolist() == [len(each[3]) for each in expected]
    for k, sequence in enumerate(sequences):
        assert found.count_of(k).tolist() == sequence[:, units].sum(1).tolist()


def test_few_rows_with_many_units_are_searched_first_and_nothing_is_missed():
    """More rows than the first level takes, so that several levels are gone through."""
    lengths = [40] * 500
    values = flickering(3, lengths, 5, changes=0.4)
    sequences = np.split(values >= 0.5, 500)
    b, start = next(
        (b, t) for b, on in enumerate(sequences) for t in range(38) if on[t : t + 2].sum() >= 8
    )
    found = match(values, (start, start + 2), 0.5, b=b, lengths=lengths, top=3000)
    selected = {unit for _, unit in found.units}
    overlaps = found.overlap.tolist()
    assert overlaps == sorted(overlaps, reverse=True)
    assert min(overlaps) < max(overlaps)  # more than one level was needed
    for span, on, k in zip(found.spans[::50], found.on.tolist()[::50], overlaps[::50], strict=True):
        units = counting(sequences[span.sequence], span[1:], 0, 0) & selected
        assert len(units) == k == sum(on)
    # All spans with all units on together are there before any other.
    whole = 0
    for s, on in enumerate(sequences):
        together = on[:, sorted(selected)].all(1)
        runs = np.flatnonzero(np.diff(np.concatenate(([0], together, [0])))).reshape(-1, 2)
        whole += sum(not (s == b and a < start + 2 and z > start) for a, z in runs)
    assert overlaps.count(len(selected)) == whole


@pytest.mark.parametrize("batch_first", [False, True])
def test_a_layer_and_the_same_numbers_as_an_array_match_alike(batch_first):
    torch.manual_seed(0)
    lstm = glasscell.LSTM(3, 8, num_layers=2, batch_first=batch_first)
    lengths = [9, 30, 17, 30]
    x = torch.randn(4, 30, 3) * 3
    x = x if batch_first else x.transpose(0, 1)
    with torch.no_grad(), glasscell.trace(lstm) as trace:
        lstm(x, lengths=torch.tensor(lengths))
    layer = trace["l0"]
    threshold = float(layer.sequence(QUANTITY, 2)[4:7].amin(0).topk(3).values[-1])
    found = match(layer, (4, 7), threshold, b=2, quantity=QUANTITY)
    array = torch.cat([layer.sequence(QUANTITY, b) for b in range(4)])
    plain = match(array.numpy(), (4, 7), threshold, b=2, lengths=lengths)
    assert len(found.units) == 3
    assert len(found) > 3
    assert shown(found) == shown(plain)
    for b in range(4):
        values = layer.sequence(QUANTITY, b)[:, [unit for _, unit in found.units]]
        assert found.count_of(b).tolist() == (values >= threshold).sum(1).tolist()
    both = match(trace, slice(4, 7), threshold, b=2, quantity=QUANTITY)
    assert {unit.layer for unit in both.units} >= {"l0"}
    wide = torch.cat([trace[name].tokens(QUANTITY) for name in ("l0", "l1")], 1)
    order = np.concatenate([_rows_of(layer, b) for b in range(4)])
    as_one = match(wide[order], (4, 7), threshold, b=2, lengths=lengths)
    assert both.spans == as_one.spans
    assert both.extra.tolist() == as_one.extra.tolist()
    flat = [unit.unit + 8 * (unit.layer == "l1") for unit in both.units]
    assert flat == [unit for _, unit in as_one.units]
    assert torch.equal(both.on, as_one.on)


def _rows_of(layer, b):
    """The packed tokens of a sequence, found by looking for its values."""
    tokens = layer.tokens(QUANTITY)
    return [int((tokens == row).all(1).nonzero()[0]) for row in layer.sequence(QUANTITY, b)]


def test_other_precisions_and_maps_are_read(tmp_path):
    values = flickering(1, [400], 70).astype(np.float16)
    values.tofile(tmp_path / "states")
    stored = np.memmap(tmp_path / "states", np.float16, "r", shape=(400, 70))
    start = 20
    found = match(stored, (start, start + 2), 0.5, top=20)
    same = match(torch.from_numpy(values).float(), (start, start + 2), 0.5, top=20)
    assert len(found.units) > 10
    assert shown(found) == shown(same)
    half = torch.from_numpy(values.astype(np.float32)).bfloat16()
    assert shown(match(half, (start, start + 2), 0.5)) == shown(
        match(half.double(), (start, start + 2), 0.5)
    )


def test_states_that_are_not_numbers_are_off():
    values = np.full((6, 1), 0.9)
    values[3] = np.nan
    assert match(values, (0, 2), 0.5).spans == [(0, 4, 6)]


def test_nothing_is_found_where_nothing_matches():
    values = np.zeros((9, 2))
    values[4, 1] = 1
    found = match(values, (4, 5), 0.5)
    assert found.units == (("", 1),)
    assert len(found) == 0
    assert found.spans == []
    assert found.on.shape == (0, 1)


@pytest.mark.parametrize("S", [1, 63, 64, 65, 130])
def test_bits_are_packed_counted_and_unpacked(S, monkeypatch):
    on = np.random.default_rng(S).random((40, S)) < 0.5
    words = pack(on)
    assert (unpack(words, S) == on).all()
    assert (count(words) == on.sum(1)).all()
    monkeypatch.delattr(np, "bitwise_count", raising=False)  # as with numpy 1
    assert (count(words) == on.sum(1)).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"threshold": 0.95}, "at least 0.95 .* comes nearest reaches 0.9"),
        ({"threshold": -0.5}, "at most -0.5 .* comes nearest reaches 0.1"),
        ({"threshold": 0.05, "before": 1}, "off for 1 steps before and 0 after"),
        ({"threshold": float("nan")}, "threshold: expected a number"),
        ({"steps": (3, 3)}, r"steps: expected \(start, stop\) with 0 <= start < stop <= 8"),
        ({"steps": (3, 9)}, "the steps of sequence 0, got"),
        ({"steps": slice(0, 8, 2)}, "steps that follow one another"),
        ({"b": 1}, "b: expected -1 to 0, a sequence of the batch, got 1"),
        ({"before": -1}, "before: expected at least 0, got -1"),
        ({"threshold": "a"}, "threshold: expected a number, got 'a'"),
        ({"threshold": "0.5"}, "threshold: expected a number, got '0.5'"),
        ({"steps": 3}, r"steps: expected \(start, stop\) or a slice, got 3"),
        ({"steps": (2, 4, 1)}, r"steps: expected \(start, stop\) or a slice, got \(2, 4, 1\)"),
        ({"steps": (2.0, 4.0)}, r"steps: expected \(start, stop\) or a slice"),
        ({"top": 1.5}, "top: expected a whole number, at least 1, got 1.5"),
        ({"layers": np.full((8, 2), np.nan)}, "chosen steps; every unit holds NaN there"),
        (
            {"layers": np.where(np.arange(2) == 0, np.full((8, 2), 0.3), np.nan)},
            "comes nearest reaches 0.3",
        ),
        ({"top": 0}, "top: expected at least 1"),
        ({"shortest": 3, "longest": 2}, "longest: expected at least 3, got 2"),
        ({"lengths": [4, 5]}, "lengths: expected whole numbers from 1 that sum to the 8 steps"),
        ({"quantity": "cell"}, "quantity: expected none"),
        ({"layers": [1, 2]}, "expected a recorded layer or an"),
        ({"layers": []}, "layers: expected at least one"),
        ({"layers": np.zeros(8)}, r"expected \(N, H\)"),
        ({"layers": [np.ones((8, 1)), np.ones((7, 1))]}, "all over the same sequences, got 8"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"layers": np.full((8, 2), [0.1, 0.9]), "steps": (2, 4), "threshold": 0.5} | change
    with pytest.raises(InputError, match=message):
        match(given.pop("layers"), given.pop("steps"), given.pop("threshold"), **given)


def test_counts_of_a_sequence_that_is_not_there_are_refused():
    found = match(np.ones((8, 2)), (2, 4), 0.5, lengths=[5, 3])
    assert torch.equal(found.count_of(-1), found.count_of(1))
    with pytest.raises(InputError, match="b: expected -2 to 1, got 2"):
        found.count_of(2)
