"""A budget of time, shared out."""

import pytest

from glasscell.comparing.budget import FEWEST, rounded_up, share_budget
from glasscell.comparing.times_in_words import seconds_of
from glasscell.comparing.trainings.probe import Pace
from glasscell.errors import UserError

PACES = {
    "lstm": Pace(update=0.005, around=1.0, stretch=1.0),
    "mut1": Pace(update=0.05, around=2.0, stretch=1.5),
}


def share(budget, **changes):
    usual = {"seeds": 5, "jobs": 2, "tuned": False}
    limit, tuning = share_budget(budget, 10.0, PACES, **{**usual, **changes})
    assert limit.seconds is not None
    return limit.seconds, tuning


def test_every_training_gets_the_same_time_and_all_fits():
    seconds, tuning = share(600)
    # 2 cells x 5 seeds, 2 at a time: 5 rounds, each as long as its updates, which take 1.25 times
    # as much wall-clock time as processor time, and what is around them
    assert seconds == pytest.approx((0.95 * 590 / 5 - 1.5) / 1.25)
    assert tuning == 0
    assert 5 * (1.25 * seconds + 1.5) + 10 < 600
    alone, _ = share(600, jobs=1)
    assert 10 * (1.25 * alone + 1.5) + 10 < 600


def test_half_is_for_tuning():
    seconds, tuning = share(600, tuned=True)
    assert seconds == pytest.approx((0.95 * 590 / 2 / 5 - 1.5) / 1.25)
    assert tuning == pytest.approx((0.95 * 590 / 2 - 10 * 1.5) / 1.25)  # both cells at once
    assert share(600, tuned=True, jobs=1)[1] == pytest.approx((0.95 * 590 / 4 - 15) / 1.25)


@pytest.mark.parametrize("changes", [{}, {"jobs": 1}, {"tuned": True}, {"seeds": 30}])
def test_too_short_says_what_would_do(changes):
    with pytest.raises(UserError) as error:
        share(20, **changes)
    text = str(error.value)
    assert text.startswith("budget: 20 s is too short for 2 cells")
    assert f"{FEWEST} updates of the slowest, mut1" in text
    needed = seconds_of(text.partition("at least ")[2].split()[0])
    seconds, _ = share(needed, **changes)  # what it says does do
    assert seconds >= FEWEST * 0.05
    with pytest.raises(UserError):
        share(0.5 * needed - 12, **changes)


def test_rounding_up():
    assert [rounded_up(s) for s in (0.1, 10, 11, 60, 61, 600)] == [
        "10s", "10s", "20s", "60s", "2m", "10m"
    ]  # fmt: skip
