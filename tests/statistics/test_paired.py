"""Tests of paired differences, against SciPy's and by brute force."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from glasscell.errors import InputError
from glasscell.statistics.paired import differences, holm, paired_t, sign_flips

stats: Any = scipy_stats  # whose results are typed more narrowly than they are

floats = st.floats(-10, 10, allow_nan=False).map(lambda x: round(x, 3))
shares = st.floats(0, 1)


@given(st.lists(floats, min_size=2, max_size=12).filter(lambda x: np.ptp(x) > 0.01))
def test_paired_t_is_scipys(values):
    assert paired_t(values) == pytest.approx(stats.ttest_1samp(values, 0).pvalue, rel=1e-6)


def test_paired_t_where_all_are_equal():
    assert paired_t([0.0, 0.0, 0.0]) == 1
    assert paired_t([0.25, 0.25, 0.25]) == 0
    assert math.isnan(paired_t([1.0]))


@given(st.lists(floats, min_size=1, max_size=8))
def test_sign_flips_by_brute_force(values):
    own = abs(sum(values))
    ways = [abs(sum(s * v for s, v in zip(signs, values, strict=True)))
            for signs in product((1, -1), repeat=len(values))]  # fmt: skip
    assert sign_flips(values) == sum(way >= own - 1e-9 for way in ways) / len(ways)


def test_sign_flips_is_scipys_permutation_test():
    values = [0.21, 0.18, -0.02, 0.25, 0.2, 0.11]
    theirs = stats.permutation_test(
        (np.array(values), np.zeros(6)),
        lambda x, y: np.mean(x - y),
        permutation_type="samples",
        n_resamples=10**5,
    )
    assert sign_flips(values) == pytest.approx(theirs.pvalue)


def test_sign_flips_of_many_are_drawn():
    values = np.random.default_rng(0).normal(0.5, size=17)
    drawn = sign_flips(values)
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert drawn == pytest.approx(theirs.pvalue, abs=4 * math.sqrt(theirs.pvalue / 1e5))
    assert sign_flips(np.ones(40)) == pytest.approx(1e-5, rel=0.01)  # never 0


def test_five_seeds_can_never_be_called_rare_by_flips():
    (found,) = differences([[1.0, 1.1, 1.2, 0.9, 1.0]])
    assert found.p_smallest == found.p_sign_flips == 2 / 32
    assert found.p < 1e-3


def test_holm_by_hand():
    # Holm 1979: the smallest times 3, the next times 2, the last as it is, never falling
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.4, 0.9, 0.6]) == [1.0, 1.0, 1.0]
    adjusted = holm([math.nan, 0.01])
    assert math.isnan(adjusted[0])
    assert adjusted[1] == 0.02
    assert holm([]) == []
    with pytest.raises(InputError, match=r"p: expected 0 to 1, got 1\.5"):
        holm([1.5])


@given(st.lists(shares, min_size=1, max_size=6), st.floats(0.01, 0.5))
def test_holm_finds_what_its_steps_find(p, alpha):
    """The procedure as Holm states it: the k-th smallest against alpha / (m - k + 1), until one
    is too large."""
    m, found, going = len(p), set(), True
    for place, k in enumerate(sorted(range(m), key=lambda k: p[k])):
        going = going and p[k] * (m - place) <= alpha
        if going:
            found.add(k)
    assert {k for k, value in enumerate(holm(p)) if value <= alpha} == found


def test_the_intervals_together_are_bonferronis():
    pairs = [[0.1, 0.3, 0.2, 0.25], [0.0, 0.1, -0.1, 0.05]]
    for values, found in zip(pairs, differences(pairs), strict=True):
        low, high = stats.t.interval(0.975, 3, np.mean(values), stats.sem(values))
        assert (found.together.low, found.together.high) == pytest.approx((low, high))
        assert found.alone.low > found.together.low
        assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_with_cells_all_alike_few_are_called_different():
    """Four cells that are the baseline again: some finding in at most about 5 % of comparisons."""
    random = np.random.default_rng(2)
    false, misses = 0, 0
    for _ in range(400):
        base = random.normal(size=5)
        found = differences([list(random.normal(size=5) - base) for _ in range(4)])
        false += any(each.p_adjusted <= 0.05 for each in found)
        misses += any(each.together.low > 0 or each.together.high < 0 for each in found)
    assert false <= 34  # of 400; 20 expected at most, 34 comes by chance once in a thousand
    assert misses <= 34
    assert false > 0
