"""The table of questions: every variant has one, and every base is a variant."""

import pytest

from glasscell.cells.variants import VARIANTS
from glasscell.comparing.questions import BASE, QUESTIONS, question_of


def test_every_variant_has_a_question():
    assert set(QUESTIONS) == set(VARIANTS) - {BASE}
    assert {question.against for question in QUESTIONS.values()} <= set(VARIANTS)


def asking(*changes):
    return [name for name, question in QUESTIONS.items() if question.change in changes]


@pytest.mark.parametrize("name", asking("adds", "removes"))
def test_a_part_less_has_fewer_weights_and_a_part_more_has_more(name):
    question = QUESTIONS[name]
    sizes = [
        sum(
            rows * (shape[1] if len(shape) > 1 else 1)
            for shape in VARIANTS[cell].shapes(8, 8, 8).values()
            for rows in shape[:1]
        )
        for cell in (name, question.against)
    ]
    if question.change == "adds":
        assert sizes[0] > sizes[1]
    elif "gate" in question.part:
        assert sizes[0] < sizes[1]
    else:
        assert sizes[0] == sizes[1]  # a squash has no weights


@pytest.mark.parametrize("name", asking("replaces"))
def test_what_replaces_is_no_lstm_with_a_part_less(name):
    """It is a cell of another kind, or has gates in common whose maps are others."""
    cell, base = VARIANTS[name], VARIANTS[QUESTIONS[name].against]
    if isinstance(cell, type(base)):
        bases = {gate.name: gate for gate in base.gates}
        assert all(gate != bases[gate.name] for gate in cell.gates if gate.name != "candidate")


def test_cells_of_ones_own_and_without_their_base():
    assert question_of("rnn(hidden=gate(squash=relu))", [BASE]).part == (
        "the cell rnn(hidden=gate(squash=relu))"
    )
    assert question_of("fgr", [BASE]).part == "full gate recurrence and peepholes"


def test_options_are_asked_of_the_layer_that_has_none():
    def asked(cell: str, *compared: str) -> tuple[str, str, str]:
        question = question_of(cell, compared)
        return question.part, question.change, question.against

    told = "peephole+zoneout=0.1"
    assert asked("lstm+zoneout=0.1", BASE) == ("the option zoneout=0.1", "adds", BASE)
    part = "the option zoneout=0.1 of peephole"
    assert asked(told, BASE, "peephole") == (part, "adds", "peephole")
    assert asked(told, BASE) == (f"the layer {told}", "replaces", BASE)
    assert question_of(told, [BASE]).missing == "peephole"
    begun = asked("lstm+forget_bias=0", BASE)
    assert begun == ("to begin with forget_bias=0", "begins", BASE)
