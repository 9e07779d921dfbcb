"""The sentences: they follow the numbers, and hold them."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.comparing.made_up import BITS, SHARE, made_up, run

from glasscell.comparing.comparison_of import comparison_of
from glasscell.comparing.models import Size
from glasscell.comparing.verdicts import Verdict

LSTM = [1.90, 1.92, 1.91, 1.93, 1.90]


def plus(*steps):
    return [base + step for base, step in zip(LSTM, steps, strict=True)]


WORSE = plus(0.20, 0.22, 0.21, 0.19, 0.23)
ALIKE = plus(0.001, -0.002, 0.0, 0.002, -0.001)
WIDE = plus(0.5, -0.4, 0.2, -0.3, 0.1)


def words(name, scores, **options):
    (said,) = made_up({"lstm": LSTM, name: scores}, **options).words
    return said


def test_a_part_that_is_needed():
    said = words("no_forget_gate", WORSE)
    assert said == "The forget gate: yes, worth 0.210 bits a character (0.190 to 0.230)."


def test_a_part_that_is_in_the_way():
    better = plus(-0.20, -0.22, -0.21, -0.19, -0.23)
    assert words("no_output_gate", better).startswith(
        "The output gate: no, without it the score is better by 0.210 bits a character (0.190 to"
    )
    assert words("peephole", WORSE).startswith(
        "Peepholes: no, with them the score is worse by 0.210"
    )


def test_a_part_that_helps_and_another_cell():
    better = plus(-0.20, -0.22, -0.21, -0.19, -0.23)
    assert words("peephole", better).startswith("Peepholes: yes, worth 0.210 bits a character (")
    assert words("gru", better).startswith("A GRU: better than the LSTM by 0.210 bits")
    assert words("gru", WORSE).startswith("A GRU: worse than the LSTM by 0.210 bits")


def test_no_difference_says_between_what():
    assert words("peephole", ALIKE) == (
        "Peepholes: no difference that matters (worth between −0.002 and +0.002 bits a character)."
    )


def test_a_wide_interval_is_no_equality():
    said = words("no_forget_gate", WIDE)
    assert re.fullmatch(
        r"The forget gate: cannot tell, worth between −0\.\d+ and \+0\.\d+ bits a character\.", said
    )


def test_one_seed_and_two():
    one = made_up({"lstm": [1.9], "no_forget_gate": [2.1]}).words[0]
    assert one == (
        "The forget gate: too few seeds to tell: +0.200 bits a character in 1 pair of seeds, and "
        "at least 3 are needed to know how far chance goes."
    )
    assert "in 2 pairs of seeds" in made_up({"lstm": [1.9, 2.0], "gru": [2.1, 2.2]}).words[0]


def test_a_small_difference_that_is_sure():
    said = words("peephole", plus(*[-0.01, -0.011, -0.01, -0.009, -0.01]))
    assert said.startswith("Peepholes: yes, worth 0.010")
    assert said.endswith(" Less than the 0.020 that would matter.")


def test_divergence_is_said_and_judges():
    said = words("no_forget_gate", [*WORSE[:3], None, None])
    assert said.startswith(
        "The forget gate: cannot be judged by scores: 2 of 5 trainings of no_forget_gate diverged."
    )
    assert "In the 3 pairs of seeds that are left" in said
    assert made_up({"lstm": [None] * 3, "gru": [1.0, 1.1, 1.2]}).findings[0].verdict == "unstable"


def test_what_failed_is_left_out_and_named():
    runs = [run("lstm", k, LSTM[k]) for k in range(5)] + [run("gru", k, WORSE[k]) for k in range(4)]
    lost = run("gru", 4, None, status="failed", why="its process was killed (signal 9)", looks=())
    found = comparison_of([*runs, lost], cells=["lstm", "gru"], title="", measure=BITS)
    assert found.findings[0].difference.n == 4
    assert found.findings[0].verdict is Verdict.HURTS
    assert found.words[0].endswith(" Left out, as the training failed: gru from seed 4.")


def test_all_failed():
    runs = [run("lstm", 0, None, status="failed", looks=()), run("gru", 0, 1.0)]
    found = comparison_of(runs, cells=["lstm", "gru"], title="", measure=BITS)
    assert "cannot tell: no seed was trained to the end by both cells." in found.words[0]
    assert str(found)


def test_fewer_updates_in_the_same_time_are_said():
    runs = [run("lstm", k, LSTM[k]) for k in range(5)]
    runs += [run("no_forget_gate", k, WORSE[k], updates=25) for k in range(5)]
    found = comparison_of(runs, cells=["lstm", "no_forget_gate"], title="", measure=BITS)
    assert found.words[0].endswith(
        "In the same time no_forget_gate made 4.0 times fewer updates than lstm: to compare them "
        "update by update, give steps (--steps)."
    )


def test_against_peepholes_where_they_are_compared():
    with_them = made_up({"lstm": LSTM, "peephole": LSTM, "nfg": WORSE})
    assert with_them.findings[1].against == "peephole"
    assert with_them.words[1].startswith("The forget gate, where there are peepholes: yes, worth")
    alone = made_up({"lstm": LSTM, "nfg": WORSE})
    assert alone.findings[0].against == "lstm"
    assert alone.words[0].startswith(
        "An LSTM with peepholes, without the forget gate: worse than the LSTM by"
    )


def test_a_score_where_more_is_better():
    low, high = [0.80, 0.81, 0.79, 0.80], [0.95, 0.96, 0.95, 0.94]
    found = made_up({"lstm": high, "no_forget_gate": low, "gru": high}, SHARE)
    assert found.words[0].startswith("The forget gate: yes, worth 0.150 steps right (0.1")
    assert found.findings[0].difference.mean == pytest.approx(-0.15)
    turned = made_up({"lstm": low, "no_forget_gate": high, "gru": high}, SHARE)
    assert "no, without it the score is better by 0.150" in turned.words[0]
    assert turned.words[1].startswith("A GRU: better than the LSTM by 0.150")


scores = st.lists(st.floats(0.5, 4), min_size=4, max_size=4)


@given(scores, scores, st.sampled_from(["no_forget_gate", "peephole", "gru"]), st.booleans())
def test_words_and_verdict_agree(base, other, cell, more_is_better):
    measure = SHARE if more_is_better else BITS
    found = made_up({"lstm": base, cell: other}, measure).findings[0]
    worth, low, high = found.worth(measure)
    better_with = worth > 0
    assert low <= worth <= high
    if found.verdict in (Verdict.HELPS, Verdict.HURTS):
        assert better_with == (found.verdict is Verdict.HELPS)
        assert any(how in found.words for how in ("yes, worth", "better than")) == better_with or (
            "without it the score is better" in found.words
        )
    assert ("no difference" in found.words) == (found.verdict is Verdict.NO_DIFFERENCE)
    if found.verdict is Verdict.NO_DIFFERENCE:
        assert max(abs(low), abs(high)) <= measure.margin


def test_an_option_is_named_as_one_and_what_it_should_be_compared_with():
    better = plus(-0.20, -0.22, -0.21, -0.19, -0.23)
    assert words("lstm+zoneout=0.1", better).startswith("The option zoneout=0.1: yes, worth 0.210")
    alone = words("peephole+zoneout=0.1", better)
    assert alone.startswith("The layer peephole+zoneout=0.1: better than the LSTM by 0.210")
    assert alone.endswith(
        " Beside lstm it is more than one change: name peephole among the cells to know what the "
        "last of them does."
    )


def test_it_and_them_go_by_the_part_and_not_by_where_it_is():
    found = made_up({"lstm": LSTM, "peephole": WORSE, "cifg": LSTM})
    assert "An input gate of its own, where there are peepholes: no, without it" in found.words[1]


def test_remarks_on_levels_and_what_is_solved():
    assert made_up({"lstm": LSTM, "gru": WORSE}).remarks == ()  # all better than 2.4
    some = made_up({"lstm": LSTM, "rnn": [2.5, 2.5, 2.4]})
    assert some.remarks == ("No better than counting (2.400): rnn.",)
    (none,) = made_up({"lstm": [2.5, 2.6], "rnn": [2.5, 2.4]}).remarks
    assert none.startswith("None of the cells does better than counting (2.400): if there is more")
    known = replace(SHARE, levels=(("chance", 0.5),), optimum=1.0, bounds=(0.0, 1.0))
    (easy,) = made_up({"lstm": [1.0, 0.995], "gru": [1.0, 1.0]}, measure=known).remarks
    assert easy.startswith("All cells are within 0.010 of the best score there can be, from every")
    (one,) = made_up({"lstm": [1.0, 0.9], "gru": [1.0, 1.0]}, measure=known).remarks
    assert one == "From every seed within 0.010 of the best score there can be: gru."
    lost = made_up({"lstm": [1.0, None], "gru": [1.0, 1.0], "rnn": [None, None]}, measure=known)
    assert lost.remarks == (one,)
    assert made_up({"lstm": [0.1] * 3}, measure=replace(known, levels=(("chance", 0.1),))).remarks
    assert "(counting: 2.400)" in str(some)
    assert "No better than counting" in str(some)


def test_remarks_on_widths():
    runs = [run("lstm", 0, 1.9), run("indrnn", 0, 1.9, size=Size(4304))]
    found = comparison_of(runs, cells=["lstm", "indrnn"], title="", measure=BITS)
    assert found.remarks == (
        "To have as many parameters indrnn has 4,304 units, where lstm has 64.",
    )


def test_intervals_of_shares_stay_shares():
    found = made_up({"lstm": [1.0, 0.9, 1.0]}, measure=replace(SHARE, bounds=(0.0, 1.0)))
    assert found["lstm"].score.high == 1.0
    assert 0 < found["lstm"].score.low < 0.9


@pytest.mark.parametrize(
    ("score", "why"), [(0.5, "is better than chance"), (1.0, "could be better")]
)
def test_scores_that_tell_nothing_of_a_part(score, why):
    known = replace(SHARE, levels=(("chance", 0.5),), optimum=1.0)
    found = made_up({"lstm": [score] * 3, "no_forget_gate": [score] * 3}, measure=known)
    assert found.findings[0].verdict is Verdict.CANNOT_TELL
    assert found.words == (f"The forget gate: cannot tell: no score of the two {why}.",)
    between = made_up({"lstm": [0.7] * 3, "no_forget_gate": [0.7] * 3}, measure=known)
    assert between.findings[0].verdict is Verdict.NO_DIFFERENCE
