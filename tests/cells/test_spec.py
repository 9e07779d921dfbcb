"""A cell as one line and back."""

from dataclasses import dataclass, replace

import pytest
import torch
from tests.cells.zoo import FORGET_PEEPHOLE, SUBJECTS

from glasscell import cells
from glasscell.cells import GRU, LSTM, RELU, RNN, SIGMOID, SQUASHES, GateMap, Squash, spec

SHUT = GateMap("shut", "s", SIGMOID)


@pytest.mark.parametrize("name", SUBJECTS)
def test_there_and_back(name):
    cell = SUBJECTS[name].cell
    assert spec.read(spec.write(cell)) == cell


def test_what_is_written_is_stable():
    """Saved graphs hold these lines: they may not change."""
    assert spec.write(LSTM()) == "lstm"
    assert spec.write(GRU()) == "gru"
    assert spec.write(RNN()) == "rnn"
    assert spec.write(replace(LSTM(), output_squash=RELU)) == "lstm(output_squash=relu)"
    relu = RNN(replace(RNN().hidden, squash=RELU))
    assert spec.write(relu) == "rnn(hidden=gate(squash=relu))"
    peephole = "lstm(forget_gate=gate(reads=('x', 'h', 'c_prev')))"
    assert spec.write(FORGET_PEEPHOLE) == peephole


def test_fields_of_cells_to_come(monkeypatch):
    """What a field holds decides how it is written, not which field it is."""

    @dataclass(frozen=True)
    class Variant(GRU):
        kind = "variant"
        coupled: bool = False
        scale: float = 1.0
        skip: GateMap | None = None
        shut: GateMap | None = SHUT

    monkeypatch.setitem(cells.KINDS, "variant", Variant)
    cell = Variant(coupled=True, scale=-0.5, skip=GateMap("skip", "k", RELU), shut=None)
    line = spec.write(cell)
    gate = "gate(name='skip', letter='k', squash=relu)"
    assert line == f"variant(coupled=True, scale=-0.5, skip={gate}, shut=None)"
    assert spec.read(line) == cell


def test_a_squash_of_ones_own(monkeypatch):
    softsign = Squash(
        "softsign", torch.nn.functional.softsign, lambda y: (1 - abs(y)) ** 2, (-1, 1)
    )
    cell = replace(LSTM(), output_squash=softsign)
    assert spec.line_of(cell) is None
    with pytest.raises(ValueError, match=r"got 'softsign'.*glasscell\.cells\.SQUASHES"):
        spec.write(cell)
    monkeypatch.setitem(SQUASHES, "softsign", softsign)
    assert spec.write(cell) == "lstm(output_squash=softsign)"
    assert spec.read("lstm(output_squash=softsign)") == cell
    spec.read.cache_clear()


def test_a_kind_of_ones_own():
    class Own(LSTM):
        pass

    with pytest.raises(ValueError, match=r"cell: expected one of fgr, gru, .*, got Own"):
        spec.write(Own())


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("elman", "the kinds are fgr, gru, .*, slstm"),
        ("lstm(memory=relu)", "there is no memory"),
        ("lstm(output_squash=cube)", "the squashes are exponential, .*, tanh, not cube"),
        ("gru(candidate=gate(reads=('x', 'h', 'c')))", "a GRU runs it reading"),
        ("lstm(output_squash=open(file=1))", r"there is no open"),
        ("lstm('x')", "it is no name"),
        ("lstm(", "its parentheses do not match"),
        ("lstm(beta=)", "it is no name"),
    ],
)
def test_lines_that_name_nothing(line, reason):
    with pytest.raises(ValueError, match=reason):
        spec.read(line)
