"""Any configuration of gate maps is told as it is computed: gates that are there or not, what each
reads, how it squashes, how two share, with and without biases, projections and chance.
"""

from random import Random

import pytest
import torch

import glasscell
from glasscell.cells import GRU, LSTM, RNN, SIGMOID, SLSTM, SQUASHES, Cell, GateMap
from glasscell.explaining import card

SHAPES = [squash for name, squash in SQUASHES.items() if name != "exponential"]


class Chosen:
    """Draws configurations until one is allowed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def cell(self) -> Cell:
        while True:
            self.reads = self.random.choice([("x", "h"), ("x", "h"), ("x",)])
            try:
                return getattr(self, self.random.choice(["lstm", "lstm", "gru", "rnn", "slstm"]))()
            except ValueError:  # these do not go together
                continue

    def gate(self, name: str, letter: str, peephole: str | None = None) -> GateMap | None:
        if self.random.random() < 0.3:
            return None
        squash = SQUASHES[self.random.choice(["sigmoid", "sigmoid", "hard_sigmoid"])]
        how = self.random.choice([None, "bernoulli", "gumbel"]) if squash is SIGMOID else None
        peeks = peephole is not None and self.random.random() < 0.5
        reads = (*self.reads, peephole) if peeks and peephole else self.reads
        return GateMap(name, letter, squash, reads, how, self.random.choice([1.0, 0.5]))

    def candidate(self, letter: str) -> GateMap:
        return GateMap("candidate", letter, self.random.choice(SHAPES), self.reads)

    def lstm(self) -> LSTM:
        return LSTM(
            self.gate("input_gate", "i", "c_prev"),
            self.gate("forget_gate", "f", "c_prev"),
            self.candidate("g"),
            self.gate("output_gate", "o", "c"),
            self.random.choice(SHAPES),
            self.random.choice([None, "complement", "normalized"]),
            self.random.choice([0.0, 1.0, -0.5]),
        )

    def gru(self) -> GRU:
        update = self.gate("update_gate", "z")
        if update is None:
            raise ValueError("a GRU has one")
        after = self.random.random() < 0.5
        return GRU(self.gate("reset_gate", "r"), update, self.candidate("n"), after)

    def rnn(self) -> RNN:
        reads = self.random.choice([("x", "h"), ("x", "h_own"), ("x",)])
        return RNN(GateMap("hidden", "h", self.random.choice(SHAPES), reads))

    def slstm(self) -> SLSTM:
        return SLSTM(forgetting=self.random.choice(["sigmoid", "exponential"]))


@pytest.mark.parametrize("seed", range(80))
def test_what_is_told_is_what_is_computed(seed):
    chosen = Chosen(seed)
    cell, pick = chosen.cell(), chosen.random.choice
    reads_past = any("h" in gate.reads or "h_own" in gate.reads for gate in cell.gates)
    layer = glasscell.Recurrent(
        3,
        4,
        cell=cell,
        engine="reference",
        bias=pick([True, True, False]),
        proj_size=pick([0, 2]) if cell.has_cell_state else 0,
        zoneout=pick([0.0, 0.4]),
        recurrent_dropout=pick([0.0, 0.4]) if reads_past else 0.0,
    ).train(pick([True, False]))
    x = torch.randn(5, 2, 3)
    with torch.no_grad(), glasscell.trace(layer) as trace:
        layer(x)
    step = pick(range(5))
    for told in (
        glasscell.explain(layer, x, step=step, b=1),
        glasscell.explain(trace["l0"], step=step, b=1),
    ):
        assert [check.text for check in told.checks if not check.holds] == [], cell
        assert told.text(60)
    assert card(cell).text(60)
