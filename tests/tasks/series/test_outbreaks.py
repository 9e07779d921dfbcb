"""Made-up epidemics do what epidemics do."""

import numpy as np
import pytest

from glasscell.errors import InputError
from glasscell.tasks.series.outbreaks import WEEK, outbreaks


def test_a_seed_says_everything():
    one, two, other = (outbreaks(4, 200, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(one.cases, two.cases)
    assert not np.array_equal(one.cases, other.cases)
    frame = one.frame()
    assert frame.columns == ["date", "region", "cases", "population"]
    assert frame.height == 800
    assert frame["region"].n_unique() == 4


def test_they_travel_come_again_and_are_bounded():
    found = outbreaks(6, 730, seed=1)
    assert (found.susceptible >= 0).all()
    assert (found.susceptible + found.infected <= found.population[:, None]).all()
    first = (found.infected > 50).argmax(-1)
    assert first[0] == first.min()  # it begins in the first region
    assert (first[1:] > 0).all()
    grows = found.reproduction > 1
    assert (np.diff(grows, axis=-1).sum(-1) >= 3).all()  # waves


def test_reports_follow_the_week_and_the_share():
    found = outbreaks(20, 700, seed=3, reported=0.4)
    of_day = found.cases.sum(0)[70:].reshape(-1, 7).mean(0)
    np.testing.assert_allclose(of_day / of_day.mean(), np.array(WEEK) / np.mean(WEEK), atol=0.08)
    half = outbreaks(20, 700, seed=3, reported=0.0)
    assert half.cases.sum() == 0


def test_reports_are_smooth_but_for_noise_and_the_week():
    """A day's cases are spread over several days, and none is skipped in an outbreak."""
    found = outbreaks(8, 500, seed=1)
    weekly = found.cases[:, :497].reshape(8, -1, 7).sum(-1)
    in_outbreak = np.repeat(weekly > 500, 7, axis=-1)
    assert in_outbreak.any()
    assert (found.cases[:, :497][in_outbreak] > 0).all()


def test_what_falls_is_over_and_what_grows_is_not():
    found = outbreaks(8, 730, seed=2)
    assert 0.05 < found.is_over.mean() < 0.6
    assert (found.reproduction[found.is_over] < 1).all()
    later = np.roll(found.infected, -14, -1)[:, :-14]
    over = found.is_over[:, :-14]
    assert np.mean(later[over] < found.infected[:, :-14][over]) > 0.8


def test_without_contagion_there_is_none():
    found = outbreaks(3, 400, seed=0, contagion=1e-6)
    assert found.infected[:, -1].sum() < 10


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"regions": 0}, "regions: expected at least 1"),
        ({"reported": 1.5}, "reported: expected 0 to 1"),
        ({"latency": 0}, "latency: expected more than 0 days"),
    ],
)
def test_what_cannot_be(given, says):
    with pytest.raises(InputError, match=says):
        outbreaks(**given)
