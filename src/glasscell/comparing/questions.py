"""The question that each cell answers when it is put beside the plain LSTM: one table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from glasscell.nn.lines import LayerLine, split_outside

BASE = "lstm"
Change = Literal["removes", "adds", "replaces", "begins"]


@dataclass(frozen=True)
class Question:
    """What comparing a cell with another tells.

    Attributes:
        part: what the two differ in: "the forget gate".
        change: what the cell does with it: removes it, adds it, is itself another, or begins with
            other weights.
        against: the cell that it differs from in this alone.
        missing: the cell that it should be compared with, and is not as nobody named it.
    """

    part: str
    change: Change
    against: str = BASE
    missing: str | None = None

    def sign(self, *, lower_is_better: bool) -> int:
        """1 where a larger difference, the cell's score less the other's, speaks for the part; -1
        where it speaks against it.

        Args:
            lower_is_better: of the score.
        """
        with_the_part = -1 if self.change == "removes" else 1
        return -with_the_part if lower_is_better else with_the_part


QUESTIONS = {
    # The LSTM with a part less.
    "no_input_gate": Question("the input gate", "removes"),
    "no_forget_gate": Question("the forget gate", "removes"),
    "no_output_gate": Question("the output gate", "removes"),
    "no_input_activation": Question("the candidate's tanh", "removes"),
    "no_output_activation": Question("the tanh of the cell state", "removes"),
    "coupled": Question("an input gate of its own", "removes"),  # here it is 1 - f
    "janet": Question("everything but the forget gate", "removes"),
    # The LSTM with a part more, or another.
    "peephole": Question("peepholes", "adds"),
    "layer_norm_lstm": Question("layer normalisation", "adds"),
    "hard_lstm": Question("hard squashes in place of sigmoid and tanh", "replaces"),
    "slstm": Question("exponential gates (sLSTM)", "replaces"),
    "min_lstm": Question("gates that do not read h (minLSTM)", "replaces"),
    # Greff et al. 2017: one change each of an LSTM with peepholes.
    "nig": Question("the input gate", "removes", "peephole"),
    "nfg": Question("the forget gate", "removes", "peephole"),
    "nog": Question("the output gate", "removes", "peephole"),
    "niaf": Question("the candidate's tanh", "removes", "peephole"),
    "noaf": Question("the tanh of the cell state", "removes", "peephole"),
    "cifg": Question("an input gate of its own", "removes", "peephole"),
    "fgr": Question("full gate recurrence", "adds", "peephole"),
    # Other cells.
    "gru": Question("a GRU", "replaces"),
    "gru_reset_before": Question("a GRU that resets h before its matrix", "replaces"),
    "layer_norm_gru": Question("a GRU with layer normalisation", "replaces"),
    "mut1": Question("MUT1", "replaces"),
    "mut2": Question("MUT2", "replaces"),
    "mut3": Question("MUT3", "replaces"),
    "min_gru": Question("a minGRU", "replaces"),
    "rnn": Question("a plain tanh RNN", "replaces"),
    "relu_rnn": Question("a plain ReLU RNN", "replaces"),
    "indrnn": Question("an IndRNN", "replaces"),
}


def question_of(cell: str, compared: Sequence[str]) -> Question:
    """What a cell answers among those that are compared.

    Where the cell that it differs from in one thing alone is not among them, the plain LSTM
    stands in, and the question says so. A cell of one's own is a replacement.
    """
    line = LayerLine.read(cell)
    own = split_outside(line.text, "+")[0] if line.options else cell
    if line.options:
        if own in compared:
            return _of_options(line, own)
        return Question(f"the layer {cell}", "replaces", missing=own)
    question = QUESTIONS.get(cell, Question(f"the cell {cell}", "replaces"))
    if question.against in compared:
        if question.against == BASE:
            return question
        return replace(question, part=f"{question.part}, where there are peepholes")
    if question.change == "adds":
        return Question(f"{question.part} and peepholes", "adds")
    part = f"an LSTM with peepholes, without {question.part},"
    return Question(part, "replaces", missing=question.against)


def _of_options(line: LayerLine, own: str) -> Question:
    """What a layer that is told something answers beside the same layer that is not."""
    told = line.text.removeprefix(f"{own}+").replace("+", " and ")
    where = "" if own == BASE else f" of {own}"
    if line.options.keys() <= {"forget_bias", "chrono", "init"}:
        return Question(f"to begin with {told}{where}", "begins", own)
    options = "option" if len(line.options) == 1 else "options"
    return Question(f"the {options} {told}{where}", "adds", own)
