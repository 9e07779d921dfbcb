import json
from typing import Any

import numpy as np
import pytest
import torch

import glasscell
from glasscell import analysis, plots
from glasscell.errors import InputError
from glasscell.plots.palette import DARK, LIGHT, LOOKS

T, H = 6, 5
TOKENS = list("a<c\nef")


def drawn(figure) -> Any:
    """A figure, whose parts plotly declares too loosely to be type-checked."""
    return figure


def layers() -> dict[str, Any]:
    torch.manual_seed(0)
    return {"LSTM": glasscell.LSTM(3, H), "GRU": glasscell.GRU(3, H), "RNN": glasscell.RNN(3, H)}


@pytest.fixture
def x():
    torch.manual_seed(1)
    return torch.randn(T, 2, 3)


def traced(module, x):
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x)
    return trace["l0"]


def test_several_flows_have_a_line_each_and_the_carousel_dashed(x):
    flows = analysis.compare_gradient_flow(layers(), x)
    figure = drawn(plots.gradient_flow(flows))
    lines = {line.hovertemplate.split("</b>")[0][3:]: line for line in figure.data}
    for name, state in (("LSTM", "dL/dc"), ("GRU", "dL/dh"), ("RNN", "dL/dh")):
        line = lines[f"{name}, {state}"]
        np.testing.assert_allclose(line.y, flows[name].relative)
        np.testing.assert_allclose(line.x, np.arange(T))
        assert line.name == f"{name}: {flows[name].verdict}, ×{flows[name].rate:.3g} a step"
    for name in ("LSTM", "GRU"):
        carousel = flows[name].carousel
        assert carousel is not None
        line = lines[f"{name}, along the carousel"]
        np.testing.assert_allclose(line.y, flows[name].part(carousel))
        assert line.line.dash == "dash"
        assert line.line.color == lines[f"{name}, {_state(name)}"].line.color
        assert line.showlegend is False
    assert "RNN, along the carousel" not in lines
    assert figure.layout.yaxis.type == "log"
    assert len({line.line.color for line in figure.data if line.line.dash == "solid"}) == 3


def _state(name: str) -> str:
    return "dL/dc" if name == "LSTM" else "dL/dh"


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_one_flow_has_a_line_for_each_state_and_gate(x, name):
    flow = analysis.gradient_flow(layers()[name], x)
    lines = {line.name: line for line in drawn(plots.gradient_flow(flow)).data}
    quantities = layers()[name].cell.quantities
    assert len(lines) == len(quantities) + (name != "RNN")
    if name == "LSTM":
        gate = lines["dL/df: forget gate"]
        expected = flow.part(flow.gates["forget_gate"]).numpy()
        np.testing.assert_allclose(gate.y[:-1], expected[:-1])
        assert np.isnan(gate.y[-1])  # it starts from c = 0, so f of the first step gets nothing
        assert gate.line.color == LOOKS["forget_gate"].light
    if name == "GRU":
        assert "dL/dn: candidate" in lines


def test_what_has_no_logarithm_is_a_gap():
    nothing = glasscell.RNN(1, 2)
    torch.nn.init.zeros_(nothing.weights().U)
    flow = analysis.gradient_flow(nothing, torch.zeros(4, 1, 1))
    (line, *_) = drawn(plots.gradient_flow({"cut": flow})).data
    assert line.y[0] == 1
    assert np.isnan(line.y[1:]).all()
    with pytest.raises(InputError, match="flows: expected at least one, got none"):
        plots.gradient_flow({})


@pytest.mark.parametrize("of", ["recurrent", "input"])
def test_the_rnnbow_stacks_the_losses_and_maps_them(x, of):
    items = analysis.rnnbow(layers()["LSTM"], x)
    norms = getattr(items, of).numpy()
    heatmap, *bars = drawn(plots.rnnbow(items, of=of, tokens=TOKENS)).data
    np.testing.assert_allclose(np.stack([bar.y for bar in bars]), norms)
    assert [bar.marker.color[0] for bar in bars] == list(range(T))
    seen = norms > 0
    np.testing.assert_allclose(heatmap.z[seen], np.log10(norms[seen] / norms.max()))
    assert np.isnan(heatmap.z[~seen]).all()
    np.testing.assert_allclose(heatmap.customdata[..., 0], norms)
    np.testing.assert_allclose(heatmap.customdata[..., 1], getattr(items, f"{of}_share"))
    assert heatmap.text[5][1] == "&lt;</b> from step 5 <b>f"
    assert f"dL/d{'U' if of == 'recurrent' else 'W'}" in heatmap.hovertemplate


def test_a_long_rnnbow_has_bands():
    torch.manual_seed(0)
    items = analysis.rnnbow(glasscell.GRU(3, 4), torch.randn(50, 1, 3))
    _, *bars = drawn(plots.rnnbow(items)).data
    assert len(bars) == 24
    np.testing.assert_allclose(sum(bar.y for bar in bars), items.recurrent.sum(0))
    assert bars[0].hovertemplate.startswith("losses at steps 0 to 2<br>")


def test_a_single_step():
    items = analysis.rnnbow(glasscell.GRU(3, 4), torch.randn(1, 1, 3))
    heatmap, bar = drawn(plots.rnnbow(items, of="input")).data
    np.testing.assert_allclose(bar.y, items.input[0])
    assert heatmap.customdata[0, 0, 1] == pytest.approx(1)
    assert not items.recurrent.any()  # it starts from h = 0: U has no part in it
    assert not items.recurrent_share.any()
    assert np.isnan(drawn(plots.rnnbow(items)).data[0].z).all()


def test_a_ledger_of_one_unit_shows_what_is_there_and_the_sum(x):
    account = analysis.ledger(traced(layers()["LSTM"], x), step=4)
    written, there, total = drawn(plots.ledger(account, unit=2, tokens=TOKENS)).data
    assert list(there.x) == ["…", "0", "1", "2", "3", "4"]
    np.testing.assert_allclose(there.y[1:], account.contributions[:, 2])
    np.testing.assert_allclose(written.y[1:], account.written[:, 2])
    assert there.y[0] == account.rest[2]
    np.testing.assert_allclose(total.y, [account.total[2]])
    signs = [LIGHT.positive if v >= 0 else LIGHT.negative for v in there.y]
    assert list(there.marker.color) == signs
    assert there.customdata[2] == "step 1 <b>&lt;</b>"


def test_a_ledger_of_all_units_is_a_map(x):
    account = analysis.ledger(traced(layers()["GRU"], x), step=3)
    figure = drawn(plots.ledger(account, tokens=TOKENS))
    (heatmap,) = figure.data
    np.testing.assert_allclose(heatmap.z[:, 1:], account.contributions.T)
    np.testing.assert_allclose(heatmap.z[:, 0], account.rest)
    assert heatmap.zmin == -heatmap.zmax
    assert list(figure.layout.xaxis.ticktext) == ["…", "a", "&lt;", "c", "⏎"]


def test_a_reverse_layers_ledger_is_drawn_in_time(x):
    module = glasscell.LSTM(3, H, bidirectional=True)
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x)
    account = analysis.ledger(trace["l0_reverse"], step=2)
    _, there, _ = drawn(plots.ledger(account, unit=0)).data
    assert list(there.x) == ["…", "2", "3", "4", "5"]
    np.testing.assert_allclose(there.y[1:], account.contributions[:, 0].flip(0))


def test_a_gradient_ledger_has_no_start(x):
    module = layers()["LSTM"]
    whole = analysis.rnnbow(module, x)
    account = analysis.gradient_ledger(traced(module, x), step=1, gradient=whole.total_state)
    entered, back, total = drawn(plots.gradient_ledger(account, unit=4, tokens=TOKENS)).data
    assert list(back.x) == ["1", "2", "3", "4", "5"]
    np.testing.assert_allclose(back.y, account.contributions[:, 4])
    np.testing.assert_allclose(entered.y, account.entered[:, 4])
    np.testing.assert_allclose(total.y, whole.total_state[1, 4], rtol=1e-5)
    (heatmap,) = drawn(plots.gradient_ledger(account)).data
    np.testing.assert_allclose(heatmap.z, account.contributions.T)


def test_bad_input(x):
    module = layers()["LSTM"]
    items = analysis.rnnbow(module, x)
    with pytest.raises(InputError, match="tokens: expected 6, one for each step, got 5"):
        plots.rnnbow(items, tokens=TOKENS[:5])
    with pytest.raises(InputError, match="of: expected 'recurrent' or 'input', got 'both'"):
        plots.rnnbow(items, of="both")  # type: ignore[arg-type]
    account = analysis.ledger(traced(module, x), step=4)
    with pytest.raises(InputError, match="tokens: expected 5 or more, one for each step, got 4"):
        plots.ledger(account, tokens=TOKENS[:4])
    with pytest.raises(InputError, match="unit: expected 0 to 4, got 5"):
        plots.ledger(account, unit=5)


def test_every_figure_can_be_written_for_light_and_dark_pages(x):
    module = layers()["LSTM"]
    layer, items = traced(module, x), analysis.rnnbow(module, x)
    flows = analysis.compare_gradient_flow(layers(), x)
    back = analysis.gradient_ledger(layer, gradient=items.total_state)
    for dark, theme in ((False, LIGHT), (True, DARK)):
        for figure in (
            plots.gradient_flow(flows, dark=dark),
            plots.gradient_flow(flows["GRU"], dark=dark),
            plots.rnnbow(items, dark=dark),
            plots.ledger(analysis.ledger(layer), dark=dark),
            plots.ledger(analysis.ledger(layer), unit=0, dark=dark),
            plots.gradient_ledger(back, dark=dark),
            plots.gradient_ledger(back, unit=0, dark=dark),
        ):
            assert json.loads(drawn(figure).to_json())["layout"]["paper_bgcolor"] == theme.surface
