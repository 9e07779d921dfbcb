"""Figures and pages of variants: what is drawn is there, and what is told holds for the cell."""

from typing import Any

import pytest
import torch
from tests.cells.zoo_of_variants import NAMES, SQUARE
from tests.plots.test_report_page import data_of

import glasscell
from glasscell import analysis, plots
from glasscell.cells import Custom
from glasscell.errors import InputError

H, TOKENS = 5, 7
# One of each sort; the others take a while.
SOME = ("lstm", "coupled", "min_lstm", "slstm", "fgr", "mut1", "indrnn")
EACH = [pytest.param(n, marks=() if n in SOME else pytest.mark.slow) for n in NAMES]
TOLD = {
    "lstm": ("lstm", "peephole", "layer_norm_lstm", "slstm", "fgr", "hard_lstm", "noaf", "niaf"),
    "gru": ("gru", "gru_reset_before", "layer_norm_gru", "min_gru"),
    "rnn": ("rnn", "relu_rnn", "indrnn"),
    "other": (
        "coupled",
        "cifg",
        "no_forget_gate",
        "nfg",
        "nig",
        "nog",
        "janet",
        "min_lstm",
        "mut1",
    ),
}


def page_of(*layers: glasscell.Recurrent):
    """The data of a page about a model of stacked layers, and its trace."""
    torch.manual_seed(0)
    letters, head = torch.nn.Embedding(TOKENS, layers[0].input_size), torch.nn.Linear(H, TOKENS)
    model = torch.nn.ModuleList([letters, *layers, head])
    ids = torch.randint(TOKENS, (12,))

    def read(tokens):
        h = letters(tokens)
        for layer in layers:
            h = layer(h)[0]
        return head(h)

    with glasscell.trace(model) as trace, torch.no_grad():
        logits = read(ids[:, None])[:, 0]
    kicks, flow = {}, analysis.surprise_flow(model, ids, read)
    for name in trace:
        try:
            kicks[name] = analysis.kick_survival(model, trace[name], window=3)
        except InputError as refused:
            assert "through W x" in str(refused)  # noqa: PT017
    page = plots.language_report(trace, ids, logits, "abcdefg", kicks=kicks, flow=flow)
    return data_of(page), trace


@pytest.mark.parametrize("name", EACH)
def test_a_page_has_all_there_is_of_a_variant(name):
    layer = glasscell.Recurrent(H if name in SQUARE else 3, H, cell=name)
    data, trace = page_of(layer)
    (shown,), seen = data["layers"], trace["1.l0"]
    carries = seen.carry() is not None
    assert set(shown["quantities"]) == set(seen.quantities)
    assert len(shown["memory"]) == (H if carries else 0)
    assert (data["ledgers"][0] is not None) == carries
    assert ("carried" in data["flow"]["layers"]["1.l0"]) == carries
    for theme in data["themes"].values():
        figures = theme["figures"]
        for figure in ("strips", "saturation", "memory", "flow_lines", "flow_ways", "kicks"):
            assert shown["look"] in figures[figure]
        ways = set(figures["flow_ways"][shown["look"]])
        assert ways == set(data["flow"]["layers"]["1.l0"])
    for told, names in TOLD.items():
        assert name not in names or shown["kind"] == told


def test_layers_of_one_kind_with_other_gates_have_figures_of_their_own():
    layers = [glasscell.LSTM(3, H), glasscell.LSTM(H, H, cell="coupled")]
    data, _ = page_of(*layers)
    looks = [layer["look"] for layer in data["layers"]]
    strips = data["themes"]["light"]["figures"]["strips"]
    rows = [[strip["name"] for strip in strips[look]["data"]] for look in looks]
    assert "forget_gate" in rows[0]
    assert "forget_gate" not in rows[1]


def test_a_page_about_a_step_of_ones_own():
    cell = Custom(lambda now: now.carry(now.gate("candidate")), gates=("candidate",))  # type: ignore[arg-type]
    data, _ = page_of(glasscell.Recurrent(3, H, cell=cell))
    assert data["layers"][0]["kind"] == "own"
    assert data["ledgers"] == [None]


def test_zoneout_is_no_gate_of_the_cell():
    data, _ = page_of(glasscell.LSTM(3, H, zoneout=0.2).eval())
    assert data["layers"][0]["kind"] == "other"


@pytest.mark.parametrize("name", EACH)
def test_every_quantity_has_a_heatmap_and_a_strip(name):
    layer = glasscell.Recurrent(H if name in SQUARE else 3, H, cell=name)
    x = torch.randn(6, 2, layer.input_size)
    with glasscell.trace(layer) as trace:
        layer(x)
    seen = trace["l0"]
    for quantity in seen.quantities:
        figure: Any = plots.gate_heatmap(seen, quantity, b=1)
        assert figure.data[0].z.shape == (H, 6)
    strips: Any = plots.unit_strips(seen, unit=2)
    assert {strip.name for strip in strips.data} == set(seen.quantities)
    assert plots.gradient_flow({name: analysis.gradient_flow(layer.eval(), x)}).data
