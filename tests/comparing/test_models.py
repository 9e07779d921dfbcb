"""Layers by name, and hidden sizes at which models are equal."""

import pytest
import torch
from torch import nn

from glasscell.comparing.models import (
    cells_named,
    matched_hidden,
    parameters,
    usual_learning_rate,
)
from glasscell.errors import UserError
from glasscell.nn.lines import LayerLine


def layer(cell: str, input_size: int, hidden: int) -> nn.Module:
    return nn.ModuleList(LayerLine.read(cell).opened.mapped(input_size, hidden))


def test_cells_without_gates_learn_more_slowly():
    rates = [usual_learning_rate(cell, 64) for cell in ("lstm", "gru+zoneout=0.1", "relu_rnn")]
    assert rates == [0.005, 0.005, 0.002]
    assert usual_learning_rate("lstm", 512) == 0.0025


@pytest.mark.parametrize("cell", ["gru", "rnn", "mut1", "no_forget_gate", "slstm"])
@pytest.mark.parametrize("wanted", [1, 500, 5_000, 123_456])
def test_matched_hidden_is_the_nearest_of_all(cell, wanted):
    def build(hidden: int) -> nn.Module:
        return nn.Sequential(layer(cell, 4, hidden), nn.Linear(hidden, 3))

    found = matched_hidden(build, wanted)
    off = {}
    for hidden in range(max(1, found - 3), found + 4):
        with torch.device("meta"):
            off[hidden] = abs(parameters(build(hidden)) - wanted)
    assert off[found] == min(off.values())


def test_matching_draws_no_numbers():
    before = torch.get_rng_state()
    matched_hidden(lambda hidden: layer("gru", 4, hidden), 1000)
    assert torch.equal(torch.get_rng_state(), before)


def test_cells_named():
    assert cells_named("gru, rnn") == ("lstm", "gru", "rnn")
    assert cells_named(["gru", "lstm"]) == ("lstm", "gru")
    assert cells_named("vanilla,np") == ("lstm", "peephole")
    assert cells_named("lstm(forget_gate=None,output_gate=None),rnn") == (
        "lstm", "lstm(forget_gate=None, output_gate=None)", "rnn"
    )  # fmt: skip
    assert cells_named("lstm(forget_gate=None)") == ("lstm", "no_forget_gate")
    line = "lstm(output_squash=relu, forget_gate=gate(squash=relu))"
    assert cells_named(f"{line}, lstm + zoneout=.1") == (
        "lstm", "lstm(forget_gate=gate(squash=relu), output_squash=relu)", "lstm+zoneout=0.1"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        ("peephol", ["cells: ", "'peephol'", "peephole"]),
        ("lstm,gruu", ["'gruu'", "gru"]),
        ("gru,gru", ["cells: gru is given twice"]),
        ("vanilla,peephole", ["peephole is given twice"]),
        ("lstm(no_such=None)", ["cells: ", "no_such"]),
        ("", ["cells: "]),
    ],
)
def test_names_that_are_none(names, parts):
    with pytest.raises(UserError) as error:
        cells_named(names)
    assert all(part in str(error.value) for part in parts), error.value
