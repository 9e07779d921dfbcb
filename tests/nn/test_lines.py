"""A layer in one line: read, written the same by all, built, and refused where it says nothing."""

from typing import Any

import pytest
import torch

import glasscell
from glasscell.cells import TANH, VARIANTS, Custom, GateMap
from glasscell.errors import InputError
from glasscell.nn.lines import LayerLine, split_outside


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_reads_and_learns_behind_its_map(name):
    torch.manual_seed(0)
    line = LayerLine.read(name).opened
    map, layer = line.mapped(3, 5, 2)
    assert layer.cell == VARIANTS[name]
    assert layer.num_layers == 2
    output, last = layer(map(torch.randn(7, 2, 3)))
    again, _ = layer(map(torch.randn(7, 2, 3)), last)
    assert output.shape == again.shape == (7, 2, 5)
    again.sum().backward()
    assert all(p.grad is not None for p in (*map.parameters(), *layer.parameters()))


@pytest.mark.parametrize(
    ("text", "same", "options"),
    [
        ("lstm", "lstm", {}),
        ("vanilla + zoneout=0.10", "peephole+zoneout=0.1", {"zoneout": 0.1}),
        ("lstm+zoneout=0.5/0.05", "lstm+zoneout=0.5/0.05", {"zoneout": (0.5, 0.05)}),
        (
            "gru+recurrent_dropout=.25+init=glorot",
            "gru+init=glorot+recurrent_dropout=0.25",
            {"init": "glorot", "recurrent_dropout": 0.25},
        ),
        (
            "lstm+stochastic=forget_gate/output:gumbel",
            "lstm+stochastic=forget/output:gumbel",
            {"stochastic": {"forget": "bernoulli", "output": "gumbel"}},
        ),
        ("lstm(forget_gate=None)+weight_dropout=.5", "no_forget_gate+weight_dropout=0.5", {
            "weight_dropout": 0.5
        }),
        ("lstm+chrono=1e2", "lstm+chrono=100", {"chrono": 100.0}),
    ],
)  # fmt: skip
def test_who_means_the_same_layer_writes_the_same(text, same, options):
    line = LayerLine.read(text)
    assert line.text == same
    assert line.options == options
    assert LayerLine.read(line.text) == line
    built = line.build(3, 4)
    expected = glasscell.Recurrent(3, 4, cell=line.cell, **options)
    assert built.chance == expected.chance
    assert built.cell == expected.cell
    assert built.first_weights == expected.first_weights


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("lstn", "did you mean lstm"),
        ("", "no variant ''"),
        ("lstm+", "expected an option such as zoneout=0.1"),
        ("lstm+momentum=1", "expected an option such as zoneout=0.1"),
        ("lstm+zoneout=much", "zoneout: expected a number, got 'much'"),
        ("lstm+zoneout=2", "zoneout: expected at least 0 and less than 1"),
        ("lstm+zoneout=.1+zoneout=.2", "zoneout is given twice"),
        ("rnn+forget_bias=1", "no gate that keeps its state"),
        ("lstm+stochastic=candidate", "gives no odds"),
        ("lstm+init=best", "init: expected"),
        ("lstm+stochastic=forget/forget_gate:gumbel", "forget is given twice"),
        ("lstm+stochastic=forget:dice", 'expected "bernoulli" or "gumbel", got \'dice\''),
        ("min_gru+weight_dropout=0.5", "weight_dropout: this cell has no recurrent matrix"),
        ("min_lstm+recurrent_dropout=0.5", "no gate of this cell reads h"),
        ("indrnn+weight_dropout=0.5", "weight_dropout: this cell has no recurrent matrix"),
        (None, "expected a line such as lstm, got None"),
        (["lstm"], "expected a line such as lstm, got ['lstm']"),
    ],
)
def test_what_says_no_layer(text: Any, why):
    with pytest.raises(InputError) as error:
        LayerLine.read(text)
    assert why in str(error.value)


def test_layers_are_torchs_own_where_the_cell_is():
    kinds = [type(LayerLine.read(name).build(2, 3)) for name in ("lstm", "gru", "rnn", "peephole")]
    assert kinds == [glasscell.LSTM, glasscell.GRU, glasscell.RNN, glasscell.Recurrent]


def test_the_keeping_gate_of_an_lstm_begins_open_where_nothing_else_is_said():
    def opened(text: str) -> str:
        return LayerLine.read(text).opened.text

    assert opened("lstm") == "lstm+forget_bias=1"
    assert opened("coupled+zoneout=0.1") == "coupled+forget_bias=1+zoneout=0.1"
    same = ("lstm+forget_bias=0", "lstm+chrono=50", "no_forget_gate", "nfg", "gru", "rnn", "mut1")
    assert [opened(text) for text in same] == list(same)
    lstm: Any = LayerLine.read("lstm").opened.build(3, 5)
    assert (lstm.bias_ih_l0 + lstm.bias_hh_l0)[5:10].tolist() == [1.0] * 5


def test_options_beside_the_line():
    assert LayerLine.of("lstm", forget_bias=None) is LayerLine.read("lstm")
    assert (
        LayerLine.of("lstm+zoneout=0.1", forget_bias=2.0).text == "lstm+forget_bias=2+zoneout=0.1"
    )
    assert LayerLine.of(VARIANTS["janet"]).text == "janet"
    with pytest.raises(InputError, match="says zoneout, which is given beside it too"):
        LayerLine.of("lstm+zoneout=0.1", zoneout=0.2)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"stochastic": ("forget", "output")}, "lstm+stochastic=forget/output"),
        ({"stochastic": "forget"}, "lstm+stochastic=forget"),
        ({"zoneout": [0.1, 0.2]}, "lstm+zoneout=0.1/0.2"),
        ({"zoneout": 1 / 3}, "lstm+zoneout=0.3333333333333333"),
        ({"chrono": 1e15}, "lstm+chrono=1000000000000000"),
        ({"forget_bias": 1e16}, "lstm+forget_bias=1e+16"),
    ],
)
def test_what_a_layer_takes_is_written_and_read_as_the_same(options, text):
    line = LayerLine.of("lstm", **options)
    assert line.text == text
    again = LayerLine.read(text)
    assert again.text == text
    built, expected = again.build(3, 4), glasscell.Recurrent(3, 4, cell="lstm", **options)
    assert (built.cell, built.chance) == (expected.cell, expected.chance)
    assert built.first_weights == expected.first_weights


def test_a_step_of_ones_own_goes_by_its_kind():
    own = Custom(lambda now: now.x, gates=(GateMap("candidate", "g", TANH),), carried=())
    assert LayerLine.of(own).text == own.kind


def test_reading_draws_no_numbers():
    before = torch.get_rng_state()
    LayerLine.of("gru", init="glorot", recurrent_dropout=0.123)
    assert torch.equal(torch.get_rng_state(), before)


def test_marks_in_parentheses_part_nothing():
    assert split_outside("a(b, c(d, e)), [f, g],h", ",") == ["a(b, c(d, e))", "[f, g]", "h"]
