"""A budget of time, shared out."""

import pytest

from glasscell.comparing.allotment import FEWEST, allotted, rounded_up
from glasscell.comparing.durations import seconds_of, told
from glasscell.comparing.measure import Measure
from glasscell.errors import UserError

PROBES = {
    "lstm": {"update": 0.005, "around": 1.0, "stretch": 1.0},
    "mut1": {"update": 0.05, "around": 2.0, "stretch": 1.5},
}


def share(budget, **changes):
    usual = {"seeds": 5, "jobs": 2, "tuned": False}
    limit, tuning = allotted(budget, 10.0, PROBES, **{**usual, **changes})
    assert limit.seconds is not None
    return limit.seconds, tuning


def test_every_training_gets_the_same_time_and_all_fits():
    seconds, tuning = share(600)
    # 2 cells x 5 seeds, 2 at a time: 5 rounds, each as long as updates by the wall, which are
    # 1.25 times as long as by the processor, and what is around them
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


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), (" 2 m ", 120), ("45", 45),
     (12.5, 12.5), ("1m 30s", 90), ("10M", 600)],
)  # fmt: skip
def test_durations(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "10x", "ten minutes", "-5s", "0", "nan", "inf", "1m30"])
def test_durations_that_are_none(text):
    with pytest.raises(UserError, match="budget: expected"):
        seconds_of(text)


def test_durations_in_words():
    assert [told(s) for s in (0.42, 48.2, 60, 200, 3600, 3900)] == [
        "0.4 s", "48 s", "1 min", "3 min 20 s", "1 h", "1 h 5 min"
    ]  # fmt: skip


def test_numbers_in_words():
    measure = Measure("bits", True, 0.02)
    assert measure.told(-0.0004, sign=True) == "0.000"
    assert measure.told(-1.23456) == "−1.235"
    assert measure.told(0.5, sign=True) == "+0.500"
    assert measure.told(float("-inf")) == "−∞"
