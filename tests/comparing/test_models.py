"""Layers by name, and hidden sizes at which models are equal."""

from typing import Any

import pytest
import torch
from torch import nn

from glasscell.cells.variants import VARIANTS
from glasscell.comparing.models import (
    Mapped,
    cells_named,
    layer,
    matched_hidden,
    options_of,
    parameters,
)
from glasscell.errors import UserError


@pytest.mark.parametrize("cell", VARIANTS)
def test_every_variant_reads_and_learns(cell):
    own = layer(cell, 3, 5)
    output, last = own(torch.randn(7, 2, 3))
    again, _ = own(torch.randn(7, 2, 3), last)
    assert output.shape == again.shape == (7, 2, 5)
    again.sum().backward()
    assert all(p.grad is not None for p in own.parameters())


def test_a_cell_that_adds_its_input_reads_it_through_a_map():
    assert isinstance(layer("mut1", 3, 5), Mapped)
    assert not isinstance(layer("mut1", 5, 5), Mapped)
    assert not isinstance(layer("mut3", 3, 5), Mapped)


def test_forget_gates_begin_open_where_there_are_any():
    assert {cell: bool(options_of(cell)) for cell in ("lstm", "peephole", "coupled", "slstm")} == {
        "lstm": True, "peephole": True, "coupled": True, "slstm": True
    }  # fmt: skip
    assert not any(map(options_of, ("no_forget_gate", "nfg", "gru", "rnn", "mut1")))
    lstm: Any = layer("lstm", 3, 5)
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[5:10].tolist() == [1.0] * 5


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
