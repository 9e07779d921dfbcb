"""Units and labels may be of any size that their numbers can have: answers do not depend on it."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from glasscell.analysis import find_units
from glasscell.analysis.units.unit_scores import Measure
from glasscell.errors import InputError


def drawn(n=300, H=6):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, H)).astype(np.float32)
    return x, x @ np.arange(1.0, H + 1) + 0.5 * rng.standard_normal(n)


def probe_of(x, y):
    found = find_units(x, y, chance=None).probe
    assert found is not None
    return found


@pytest.mark.parametrize("power", [-140, -120, -85, -30, 40, 64, 100, 124])
def test_units_of_float32(power):
    """By powers of two, so that nothing is rounded but where float32 ends."""
    x, y = drawn()
    expected = probe_of(x, y)
    moved = np.ldexp(x, power)
    found = probe_of(moved, y)
    close = 1e-3 if power < -126 else 1e-12
    assert found.score == pytest.approx(expected.score, abs=close)
    assert expected.score > 0.95
    read = found(torch.from_numpy(moved)) - expected(torch.from_numpy(x))
    assert float(read.abs().max()) < (0.1 if power < -100 else 1e-9)


@pytest.mark.parametrize("size", [1e17, 1e19, 1e30, 1e38])
def test_one_huge_unit_does_not_hide_the_others(size):
    x, y = drawn()
    others = probe_of(x[:, :5], y).score
    x = np.concatenate((x[:, :5], np.float32(size) * np.sin(np.arange(300.0))[:, None]), 1)
    assert probe_of(x.astype(np.float32), y).score == pytest.approx(others, abs=0.03)


@pytest.mark.parametrize("size", [1e-320, 1e-200, 1e-160, 1e160, 1e200, 1e308])
def test_units_of_float64_and_labels(size):
    x, y = drawn()
    x = x.astype(np.float64) / 10
    y = y / 100
    expected = probe_of(x, y).score
    close = 1e-2 if size < 1e-300 else 1e-9
    assert probe_of(x * size, y).score == pytest.approx(expected, abs=close)
    assert probe_of(x, y * size).score == pytest.approx(expected, abs=close)
    tests: dict[Measure, Any] = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}
    for measure, test in tests.items():
        scores = [float(test(x[:, u], y)[0]) for u in range(6)]
        for found in (
            find_units(x * size, y, measure=measure, folds=None),
            find_units(x, y * size, measure=measure, folds=None),
        ):
            np.testing.assert_allclose(found.scores, scores, atol=close)
            assert found.largest.isfinite().all()


@pytest.mark.parametrize(("n", "folds"), [(4, 0), (5, 0), (6, 3), (7, 3), (8, 4), (9, 4), (10, 5)])
def test_few_steps_get_fewer_folds(n, folds):
    x, y = drawn(n)
    probe = find_units(x, y).probe
    assert (0 if probe is None else len(probe.by_fold)) == folds


def test_numbers_beyond_what_there_is_are_refused():
    x, y = drawn()
    found = find_units(x, y, folds=None)
    assert found.limit(1.0) <= found.limit(0.05)
    for level in (2.0, -0.1, float("nan")):
        with pytest.raises(InputError, match=f"level: expected between 0 and 1, got {level}"):
            found.limit(level)
    with pytest.raises(InputError, match="top: expected at least 0, got -1"):
        found.best(-1)
    with pytest.raises(InputError, match="permutations: expected at least 1, got -5"):
        find_units(x, y, chance="sequences", permutations=-5, lengths=[150, 150])
    with pytest.raises(InputError, match="folds: expected a whole number, at least 3"):
        find_units(x, y, folds=5.0)  # type: ignore[arg-type]
    for bad in (np.inf, -np.inf):
        with pytest.raises(InputError, match="steps: expected finite numbers"):
            find_units(np.where(np.arange(6) == 2, bad, x), y)
