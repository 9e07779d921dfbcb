"""From numbers to a verdict: the rules, one by one and for numbers of every kind."""

import math
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from glasscell.comparing.verdicts import Verdict, turned, verdict_of
from glasscell.statistics.intervals import t_interval
from glasscell.statistics.paired import differences


def judged(*pairs, better=1, margin=0.02, diverged=0):
    return [
        verdict_of(each, better=better, margin=margin, confidence=0.95, diverged=diverged)
        for each in differences(pairs)
    ]


CLEAR = [0.20, 0.22, 0.21, 0.19, 0.20]
NOTHING = [0.001, -0.002, 0.001, 0.002, -0.001]
WIDE = [0.5, -0.4, 0.2, -0.3, 0.1]


def test_each_rule():
    assert judged(CLEAR) == [Verdict.HELPS]
    assert judged(CLEAR, better=-1) == [Verdict.HURTS]
    assert judged([-d for d in CLEAR]) == [Verdict.HURTS]
    assert judged(NOTHING) == [Verdict.NO_DIFFERENCE]
    assert judged(WIDE) == [Verdict.CANNOT_TELL]
    assert judged(CLEAR[:2]) == [Verdict.TOO_FEW]
    assert judged(CLEAR[:1]) == [Verdict.TOO_FEW]
    assert judged([]) == [Verdict.TOO_FEW]
    assert judged(CLEAR, diverged=1) == [Verdict.UNSTABLE]


def test_a_finding_must_survive_the_others():
    barely = [0.05, 0.15, 0.01, 0.12, 0.10]
    assert judged(barely) == [Verdict.HELPS]
    assert judged(barely, WIDE, WIDE, WIDE)[0] is Verdict.CANNOT_TELL


def test_equal_scores_are_no_difference():
    assert judged([0.0] * 5) == [Verdict.NO_DIFFERENCE]


@given(
    st.lists(st.lists(st.floats(-1, 1), min_size=0, max_size=7), min_size=1, max_size=4),
    st.floats(0, 0.5),
    st.sampled_from([1, -1]),
)
def test_never_no_difference_where_the_interval_is_wide(pairs, margin, better):
    for each in differences(pairs):
        verdict = verdict_of(each, better=better, margin=margin, confidence=0.95)
        if verdict is Verdict.NO_DIFFERENCE:
            assert -margin <= each.together.low
            assert each.together.high <= margin
        if verdict in (Verdict.HELPS, Verdict.HURTS):
            assert each.n >= 3
            assert each.p_adjusted <= 0.05 + 1e-12
            assert (better * each.mean > 0) == (verdict is Verdict.HELPS)
        if each.n < 3:
            assert verdict is Verdict.TOO_FEW


def test_turned():
    interval = t_interval([0.1, 0.3])
    low, high = turned(interval, 1)
    assert turned(interval, -1) == (-high, -low)
    assert turned(t_interval([1.0]), -1) == (-math.inf, math.inf)


def test_verdicts_are_the_words_of_the_guide():
    """The table "What the words mean" names every verdict, and nothing that is none."""
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "compare.md").read_text("utf-8")
    rows = guide.partition("| verdict | when |")[2].partition("\n\n")[0].splitlines()[2:]
    named = [name.strip() for row in rows for name in row.split("|")[1].split(",")]
    assert sorted(named) == sorted(str(verdict) for verdict in Verdict)
