"""Scores, chance and probes against scikit-learn, SciPy and loops."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import glasscell
from glasscell.analysis import find_units
from glasscell.analysis.units.chance import next_smooth
from glasscell.analysis.units.probe import folds_of, probe
from glasscell.analysis.units.rows import rows_of
from glasscell.analysis.units.unit_scores import midranks
from glasscell.errors import InputError


def drawn(seed, n, H, ties=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, H))
    x = np.round(x, 1) if ties else x
    y = x[:, 0] + 0.5 * rng.standard_normal(n)
    return x, y


def of_scipy(test: Any, one, two) -> float:
    """The statistic of one of SciPy's tests, whose results are declared too loosely."""
    return float(test(one, two)[0])


# Scores


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.sampled_from([-1.5, -0.0, 0.0, 1e-30, 0.25, 3.0, -1e20]), min_size=1),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_ranks_are_those_of_scipy(values, dtype):
    values = np.array(values, dtype=dtype)
    np.testing.assert_array_equal(midranks(values), stats.rankdata(values) - 1)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("ties", [False, True])
def test_auc_is_that_of_sklearn(ties, dtype):
    x, y = drawn(0, 211, 5, ties)
    x, on = x.astype(dtype), y > 0.5
    found = find_units(x, on, chance=None, folds=None)
    expected = [roc_auc_score(on, x[:, u]) for u in range(5)]
    assert found.measure == "auc"
    assert found.chance == 0.5
    np.testing.assert_allclose(found.scores, expected, rtol=0, atol=1e-14)
    assert found.order[0] == 0
    assert found.p.isnan().all()


@pytest.mark.parametrize("measure", ["pearson", "spearman"])
def test_correlations_are_those_of_scipy(measure):
    x, y = drawn(1, 150, 4, ties=True)
    y = np.round(y, 1)
    found = find_units(x, y, measure=measure, chance=None, folds=None)
    test = stats.pearsonr if measure == "pearson" else stats.spearmanr
    expected = [of_scipy(test, x[:, u], y) for u in range(4)]
    np.testing.assert_allclose(found.scores, expected, atol=1e-13)
    huge = find_units(x * 1e25, y, measure=measure, chance=None, folds=None)
    np.testing.assert_allclose(huge.scores, expected, atol=1e-13)
    assert find_units(x, y, chance=None, folds=None).measure == "pearson"


def test_units_are_ranked_by_distance_from_chance():
    x, y = drawn(2, 300, 4)
    x[:, 2] = -y  # low where the label is on
    x[:, 3] = 1.25  # constant
    found = find_units(x, y > 0)
    assert found.order.tolist() == [2, 0, 1, 3]
    assert found.scores[2] == 0.0
    assert found.scores[3] == 0.5
    assert found.best(1) == [(2, 0.0, found.p[2].item(), found.p_family[2].item())]
    assert found.p[3] == 1.0
    assert found.probe is not None
    assert found.probe.weights[3] == 0.0


# Layouts


@pytest.mark.parametrize("batch_first", [False, True])
def test_labels_may_come_in_any_layout(batch_first):
    torch.manual_seed(0)
    lengths = [7, 12, 5, 12]
    lstm = glasscell.LSTM(3, 4, batch_first=batch_first)
    x = torch.randn(4, 12, 3)
    with torch.no_grad(), glasscell.trace(lstm) as trace:
        lstm(x if batch_first else x.transpose(0, 1), lengths=torch.tensor(lengths))
    layer = trace["l0"]
    padded = x[..., 0] + 0.1 * torch.randn(4, 12)  # (B, T)
    for b, T in enumerate(lengths):
        padded[b, T:] = 1e6  # must not count
    by_sequence = [padded[b, :T] for b, T in enumerate(lengths)]
    own = padded if batch_first else padded.T
    packed = layer.layout.tokens(own[..., None])[:, 0]
    states = torch.cat([layer.sequence("hidden", b) for b in range(4)]).numpy()
    labels = torch.cat(by_sequence).numpy()
    expected = [of_scipy(stats.pearsonr, states[:, u], labels) for u in range(4)]
    plain = find_units(states, labels, lengths=lengths)
    for given_labels in (own, own.numpy(), packed, by_sequence, [v.tolist() for v in by_sequence]):
        found = find_units(layer, given_labels, "hidden")
        assert found.steps == 36
        np.testing.assert_allclose(found.scores, expected, atol=1e-6)
        np.testing.assert_allclose(found.p, plain.p)
        assert found.probe is not None
        assert plain.probe is not None
        np.testing.assert_allclose(found.probe.weights, plain.probe.weights, rtol=1e-4, atol=1e-6)
    assert find_units(layer, own).quantity == "cell"


def test_steps_without_a_label_are_left_out():
    x, y = drawn(3, 90, 3)
    left = np.arange(90) % 7 == 2
    on = (y > 0).astype(float)
    marked = np.where(left, np.nan, on)
    for found in (find_units(x, marked), find_units(x, on, mask=~left)):
        assert found.steps == 90 - left.sum()
        same = find_units(x[~left], on[~left])
        assert torch.equal(found.scores, same.scores)
        assert torch.equal(found.p_family, same.p_family)
        assert found.probe is not None
        assert same.probe is not None
        assert found.probe.score == pytest.approx(same.probe.score)


def test_maps_and_other_precisions_are_read(tmp_path):
    x, y = drawn(4, 200, 40)
    stored = x.astype(np.float16)
    stored.tofile(tmp_path / "states")
    mapped = np.memmap(tmp_path / "states", np.float16, "r", shape=(200, 40))
    found = find_units(mapped, y > 0)
    same = find_units(torch.from_numpy(stored).float(), y > 0)
    np.testing.assert_array_equal(found.scores, same.scores)
    assert found.probe is not None
    assert same.probe is not None
    np.testing.assert_allclose(found.probe.weights, same.probe.weights)
    half = torch.from_numpy(x).bfloat16()
    np.testing.assert_array_equal(
        find_units(half, y > 0, folds=None).scores, find_units(half.double(), y > 0).scores
    )


# Chance


@pytest.mark.parametrize("n", [64, 97])  # of small factors; prime
@pytest.mark.parametrize("measure", ["auc", "pearson", "spearman"])
def test_chance_counts_every_shift(measure, n):
    x, y = drawn(5, n, 6, ties=True)
    x[:, 1] = np.sin(np.arange(n) / 5)
    labels = (y > 0.4).astype(float) if measure == "auc" else np.round(y, 1)
    found = find_units(x, labels, measure=measure, folds=None)
    score = {
        "auc": lambda v, w: roc_auc_score(w, v) - 0.5,
        "pearson": lambda v, w: of_scipy(stats.pearsonr, v, w),
        "spearman": lambda v, w: of_scipy(stats.spearmanr, v, w),
    }[measure]
    every = np.array(
        [[abs(score(x[:, u], np.roll(labels, s))) for u in range(6)] for s in range(n)]
    )  # (n, H)
    own, largest = every[0], every.max(1)
    np.testing.assert_allclose(found.largest, largest, atol=1e-12)
    np.testing.assert_allclose(found.p, (every >= own - 1e-9).mean(0))
    expected = (largest[:, None] >= own - 1e-9).mean(0)
    np.testing.assert_allclose(found.p_family, expected)
    # Beyond the limit fewer than a tenth of the shifts reach a score, at it no longer.
    limit = found.limit(0.1)
    assert (largest > limit + 1e-9).mean() < 0.1
    assert (largest >= limit - 1e-9).mean() >= 0.1


def test_long_series_are_counted_in_float32_with_the_same_result():
    x, _ = drawn(6, 100_003, 3)
    labels = np.cumsum(np.random.default_rng(1).standard_normal(100_003)) > 0
    x[:, 1] = 0.02 * labels + x[:, 1]
    found = find_units(torch.from_numpy(x).float(), labels, folds=None)
    ranks = np.stack([stats.rankdata(x[:, u].astype(np.float32)) for u in range(3)])
    positives = labels.sum()
    spectrum = np.fft.rfft(ranks) * np.fft.rfft(labels.astype(float)).conj()
    sums = np.fft.irfft(spectrum, n=len(labels))
    above = sums - positives * (positives + 1) / 2
    every = np.abs(above / (positives * (len(labels) - positives)) - 0.5)
    np.testing.assert_allclose(found.largest, every.max(0), atol=2e-6)
    np.testing.assert_allclose(found.p, (every >= every[:, :1]).mean(1), atol=2e-3)


def test_swapping_sequences_keeps_each_in_one_piece():
    """All 24 ways to give the labels of four sequences to one another, drawn at random."""
    rng = np.random.default_rng(7)
    lengths = [10, 10, 6, 10, 10]
    x = rng.standard_normal((46, 3)).cumsum(0)
    y = rng.standard_normal(46).cumsum()
    x[:, 0] += y
    found = find_units(
        x, y, chance="sequences", permutations=4000, lengths=lengths, folds=None, seed=1
    )
    parts = np.split(y, np.cumsum(lengths)[:-1])
    every = []
    for order in permutations([0, 1, 3, 4]):
        moved = np.concatenate([parts[k] for k in (*order[:2], 2, *order[2:])])
        every.append([abs(of_scipy(stats.pearsonr, x[:, u], moved)) for u in range(3)])
    every = np.array(every)
    reached = (every >= every[0] - 1e-9).mean(0)
    np.testing.assert_allclose(found.p, reached, atol=0.03)
    np.testing.assert_allclose(
        found.p_family, (every.max(1)[:, None] >= every[0] - 1e-9).mean(0), atol=0.03
    )
    assert len(found.largest) == 4001


def test_what_follows_the_place_in_the_sequence_is_chance_among_sequences():
    rng = np.random.default_rng(8)
    place = np.tile(np.arange(20.0), 30)
    x = np.stack([place + rng.standard_normal(600), rng.standard_normal(600)], 1)
    y = place + rng.standard_normal(600)
    lengths = [20] * 30
    assert find_units(x, y, folds=None, lengths=lengths).p_family[0] < 0.06
    among = find_units(x, y, chance="sequences", folds=None, lengths=lengths)
    assert among.p_family[0] > 0.06


def test_p_values_are_right_for_slow_units_that_know_nothing():
    """Smooth units and a smooth label, unrelated: shuffled steps would call most of them found."""
    rng = np.random.default_rng(9)
    kernel = np.ones(40) / 40

    def smooth():
        return np.convolve(rng.standard_normal(639), kernel, "valid")

    uncorrelated: Any = stats.pearsonr
    small = shuffled = 0
    for _ in range(150):
        x = np.stack([smooth() for _ in range(4)], 1)
        y = smooth()
        small += bool(find_units(x, y, folds=None).p_family.min() <= 0.1)
        shuffled += any(float(uncorrelated(x[:, u], y)[1]) < 0.1 / 4 for u in range(4))
    assert small / 150 < 0.2
    assert shuffled / 150 > 0.5


# The probe


@pytest.mark.parametrize("is_binary", [False, True])
def test_the_probe_is_sklearns_ridge(is_binary):
    rng = np.random.default_rng(10)
    x = rng.standard_normal((400, 12)) @ rng.standard_normal((12, 12)) + 5
    y = x @ rng.standard_normal(12) + 8 * rng.standard_normal(400)
    y = (y > np.median(y)).astype(float) if is_binary else y
    lengths = np.array([40] * 10)
    folds = folds_of(lengths, 5)
    penalty = 0.03
    found = probe(rows_of(x), np.arange(400), y, folds, is_binary=is_binary, penalties=[penalty])
    expected = []
    for fold in folds:
        train = np.setdiff1d(np.arange(400), fold)
        model = make_pipeline(StandardScaler(), Ridge(alpha=penalty * len(train)))
        read = model.fit(x[train], y[train]).predict(x[fold])
        expected.append(roc_auc_score(y[fold], read) if is_binary else r2_score(y[fold], read))
    np.testing.assert_allclose(found.by_fold, expected, atol=1e-9)
    assert found.score == pytest.approx(np.mean(expected))
    whole = make_pipeline(StandardScaler(), Ridge(alpha=penalty * 400)).fit(x, y)
    np.testing.assert_allclose(found(torch.from_numpy(x)), whole.predict(x), atol=1e-8)


def test_the_penalty_is_chosen_without_the_fold_that_is_scored():
    rng = np.random.default_rng(11)
    x = rng.standard_normal((150, 60))
    y = x[:, 0] + 3 * rng.standard_normal(150)
    folds = folds_of(np.array([150]), 5)
    penalties = [1e-3, 1.0, 100.0]
    found = probe(rows_of(x), np.arange(150), y, folds, is_binary=False, penalties=penalties)

    def fitted(train, penalty):
        return make_pipeline(StandardScaler(), Ridge(alpha=penalty * len(train))).fit(
            x[train], y[train]
        )

    def cost(k, j, penalty):
        train = np.concatenate([folds[i] for i in range(5) if i not in (k, j)])
        return ((fitted(train, penalty).predict(x[folds[j]]) - y[folds[j]]) ** 2).sum()

    for k in range(5):
        costs = [sum(cost(k, j, p) for j in range(5) if j != k) for p in penalties]
        train = np.concatenate([folds[i] for i in range(5) if i != k])
        read = fitted(train, penalties[int(np.argmin(costs))]).predict(x[folds[k]])
        assert found.by_fold[k] == pytest.approx(r2_score(y[folds[k]], read), abs=1e-9)


def test_folds_are_whole_sequences_or_stretches():
    folds = folds_of(np.array([3, 0, 5, 2, 4, 6, 1]), 3)
    owner = np.repeat(np.arange(6), [3, 5, 2, 4, 6, 1])
    assert [sorted(set(owner[fold].tolist())) for fold in folds] == [[0, 3], [1, 4], [2, 5]]
    assert sorted(np.concatenate(folds)) == list(range(21))
    stretches = folds_of(np.array([11, 9]), 4)
    assert all((np.diff(stretch) == 1).all() for stretch in stretches)
    assert sorted(np.concatenate(stretches)) == list(range(20))


def test_a_direction_finds_what_no_unit_holds_alone():
    rng = np.random.default_rng(12)
    x = rng.standard_normal((4000, 20)).astype(np.float32)
    on = x.sum(1) > 0
    found = find_units(x, on)
    assert found.scores.max() < 0.7
    assert found.probe is not None
    assert found.probe.score > 0.99
    nothing = find_units(x, np.roll(on, 1500))
    assert nothing.probe is not None
    assert 0.4 < nothing.probe.score < 0.6


def test_large_offsets_do_not_cost_the_probe_its_digits():
    rng = np.random.default_rng(13)
    x = rng.standard_normal((3000, 6)).astype(np.float32)
    y = x @ np.arange(1.0, 7.0) + 1e7
    found = find_units(x + np.float32(100), y, chance=None).probe
    assert found is not None
    assert found.score > 0.9999
    np.testing.assert_allclose(found.weights, np.arange(1.0, 7.0), rtol=1e-3)


def test_a_fold_with_labels_all_equal_has_no_score():
    x, _ = drawn(14, 100, 3)
    on = np.zeros(100)
    on[:30] = x[:30, 0] > 0
    found = find_units(x, on).probe
    assert found is not None
    assert found.by_fold.isnan().tolist() == [False, False, True, True, True]
    assert found.score == pytest.approx(float(found.by_fold[:2].mean()))


def test_lengths_for_transforms_have_small_factors():
    assert [next_smooth(n) for n in (1, 11, 13, 121, 1030)] == [1, 12, 14, 125, 1050]


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(29)}, r"labels: expected \(30,\), one for each step, got \(29,\)"),
        ({"labels": [np.zeros(10), np.zeros(21)]}, "labels: expected 1 sequences of 30 steps"),
        ({"labels": np.ones(30)}, "labels: expected two different ones or more, all are 1"),
        ({"labels": np.full(30, np.nan)}, "at least 4 steps that count, got 0"),
        ({"labels": np.array(["a", "b"] * 15)}, "labels: expected booleans or numbers"),
        ({"labels": np.array([0.0, np.inf] * 15)}, "labels: expected finite numbers"),
        ({"mask": np.ones(3)}, "mask: expected"),
        ({"measure": "auc", "labels": np.arange(30)}, "measure: expected 'pearson' or 'spearman'"),
        ({"measure": "r"}, "measure: expected 'auc', 'pearson' or 'spearman', got 'r'"),
        ({"chance": "shuffle"}, "chance: expected 'shift', 'sequences' or None"),
        ({"chance": "sequences"}, "no two have as many"),
        ({"folds": 2}, "folds: expected at least 3"),
        ({"folds": 16}, "folds: expected no more than half the 30 steps"),
        ({"steps": np.full((30, 2), np.nan)}, "steps: expected finite numbers"),
        ({"steps": "states"}, "steps: expected a recorded layer or"),
        ({"lengths": [10, 10]}, "lengths: expected whole numbers from 1 that sum to the 30"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"steps": drawn(0, 30, 2)[0], "labels": np.arange(30) % 3 == 0} | change
    with pytest.raises(InputError, match=message):
        find_units(given.pop("steps"), given.pop("labels"), **given)


def test_labels_of_another_shape_than_the_layers_are_refused():
    lstm = glasscell.LSTM(3, 4)
    with glasscell.trace(lstm) as trace:
        lstm(torch.randn(6, 2, 3))
    with pytest.raises(InputError, match=r"labels: expected \(6, 2\), or \(12,\) packed tokens"):
        find_units(trace["l0"], torch.zeros(2, 6))
    with pytest.raises(InputError, match="lengths: expected none, as l0 knows its own"):
        find_units(trace["l0"], torch.zeros(6, 2), lengths=[6, 6])
