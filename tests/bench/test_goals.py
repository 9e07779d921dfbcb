"""What is promised and what came of it: means, verdicts, words."""

import pytest

from glasscell.bench import Goal, Measure, Row, Times, geometric_mean


def rows(*ratios: float) -> list[Row]:
    """Rows in which ours takes one second."""
    return [
        Row(f"row  {k}", {"ours": Times.of([1.0]), "theirs": Times.of([ratio])})
        for k, ratio in enumerate(ratios)
    ]


def test_the_geometric_mean():
    assert geometric_mean([2, 8]) == pytest.approx(4)
    assert geometric_mean([0.5, 2]) == pytest.approx(1)


def test_the_fastest_rival_counts():
    row = Row("", {"ours": Times.of([2.0]), "a": Times.of([6.0]), "b": Times.of([3.0])})
    assert (row.fastest, row.ratio, row.ours) == ("b", 1.5, 2.0)
    alone = Row("", {"ours": Times.of([2.0])})
    assert (alone.fastest, alone.ratio) == (None, None)


def test_times_are_medians_and_quartiles():
    times = Times.of([5.0, 1.0, 2.0, 3.0, 4.0], calls=7)
    assert (times.lower, times.median, times.upper) == (2.0, 3.0, 4.0)
    assert (times.turns, times.calls) == (5, 7)


@pytest.mark.parametrize(
    ("goal", "ratios", "met", "aim_met", "status"),
    [
        (Goal(mean=1.3, each=1.05, aim=1.5), (1.2, 1.6), True, False, "met, aim 1.50"),
        (Goal(mean=1.3, each=1.05, aim=1.5), (1.6, 1.6), True, True, "met, and the aim too"),
        (Goal(mean=1.3, each=1.05, aim=1.5), (1.04, 4.0), False, True, "MISSED, aim 1.50"),
        (Goal(mean=1.3, each=1.05, aim=1.5), (1.2, 1.2), False, False, "MISSED, aim 1.50"),
        (Goal(mean=2.0), (1.0, 4.0), True, None, "met"),
        (Goal(each=0.9), (0.9, 4.0), True, None, "met"),
        (Goal(each=0.9), (0.89, 4.0), False, None, "MISSED"),
    ],
)
def test_verdicts(goal, ratios, met, aim_met, status):
    verdict = goal.judge(rows(*ratios))
    assert (verdict.met, verdict.aim_met, verdict.status) == (met, aim_met, status)
    assert verdict.mean == pytest.approx(geometric_mean(ratios))
    assert (verdict.worst, verdict.worst_case) == (min(ratios), f"row  {ratios.index(min(ratios))}")


def test_a_mean_that_is_met_hides_no_row_that_is_short():
    verdict = Goal(mean=2.0).judge(rows(1.0, 4.0, 1.9, 3.0))
    assert verdict is not None
    assert verdict.met
    assert verdict.short == 2
    assert str(verdict) == "geometric mean 2.19 of 4 rows, lowest 1.00 (row 0), 2 short: met"


def test_where_less_is_better():
    goal = Goal(mean=1.15, aim=1.05, measure=Measure.times)
    verdict = goal.judge(rows(1 / 1.1, 1 / 1.12))
    assert verdict is not None
    assert (verdict.met, verdict.aim_met) == (True, False)
    assert verdict.worst == pytest.approx(1.12)
    assert "highest 1.12 x the time (row 1)" in str(verdict)
    worse = goal.judge(rows(1 / 1.2))
    assert worse is not None
    assert str(worse) == "1.20 x the time: MISSED, aim 1.05 x the time"
    seconds = Goal(mean=0.3, measure=Measure.seconds).judge([Row("", {"ours": Times.of([0.2])})])
    assert str(seconds) == "0.200 s: met"


def test_a_wrong_answer_meets_no_promise():
    verdict = Goal(mean=1.0).judge([*rows(5.0), Row("", {}, wrong="output is off")])
    assert verdict is not None
    assert (verdict.met, verdict.status) == (False, "WRONG answers in 1 rows")
    assert Goal(mean=1.0).judge([Row("", {}, wrong="output is off")]) is None


def test_promises_in_words():
    goal = Goal(mean=1.3, each=1.05, aim=1.5)
    assert goal.told() == "geometric mean at least 1.30, no row under 1.05; aim 1.50"
    assert goal.told(alone=True) == "at least 1.30, no row under 1.05; aim 1.50"
    assert Goal(each=0.9).told() == "no row under 0.90"
    told = Goal(mean=1.15, measure=Measure.times).told()
    assert told == "geometric mean at most 1.15 x the time"
