import json
import math
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import glasscell
from glasscell import plots
from glasscell.analysis import UnitMemory, predictions, saturation, units_by_memory
from glasscell.plots.palette import DARK, LIGHT, LOOKS

LETTERS = list("abc\n")


def drawn(figure) -> Any:
    """A figure, whose parts plotly declares too loosely to be type-checked."""
    return figure


def test_importing_glasscell_or_its_plots_does_not_load_plotly():
    code = "import sys, glasscell, glasscell.plots; print('plotly' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_a_heat_map_shows_the_gate_units_by_steps(read):
    layer = read(LETTERS, [0, 1, 2, 3]).trace["l0"]
    figure = drawn(plots.gate_heatmap(layer, "forget_gate", tokens=list("abc\n")))
    (heatmap,) = figure.data
    np.testing.assert_allclose(heatmap.z, layer.sequence("forget_gate").T)
    assert (heatmap.zmin, heatmap.zmax) == (0, 1)
    assert list(heatmap.text[5]) == ["a", "b", "c", "⏎"]
    assert heatmap.colorscale[1][1] == LOOKS["forget_gate"].light
    assert list(figure.layout.xaxis.ticktext) == ["a", "b", "c", "⏎"]


def test_signed_quantities_are_centred_at_zero(read):
    layer = read(LETTERS, [0, 1, 2, 3]).trace["l0"]
    for quantity in ("candidate", "hidden"):
        (heatmap,) = drawn(plots.gate_heatmap(layer, quantity, dark=True)).data
        assert heatmap.zmin == -heatmap.zmax
        assert [colour for _, colour in heatmap.colorscale] == [
            DARK.negative,
            DARK.zero,
            DARK.positive,
        ]


def test_the_cell_state_is_coloured_by_its_tanh_and_told_as_it_is(read):
    layer = read(LETTERS, [0, 1, 2, 3]).trace["l0"]
    (heatmap,) = drawn(plots.gate_heatmap(layer, "cell")).data
    cell = layer.sequence("cell").T
    np.testing.assert_allclose(heatmap.z, cell.tanh(), rtol=1e-5)
    np.testing.assert_allclose(heatmap.customdata, cell)
    assert "customdata" in heatmap.hovertemplate


def test_units_can_be_ordered_and_left_out(read):
    layer = read(LETTERS, [0, 1, 2]).trace["l0"]
    (heatmap,) = drawn(plots.gate_heatmap(layer, "output_gate", units=[4, 1])).data
    assert list(heatmap.y) == ["4", "1"]
    np.testing.assert_allclose(heatmap.z, layer.sequence("output_gate").T[[4, 1]])


def test_tokens_must_be_as_many_as_steps(read):
    layer = read(LETTERS, [0, 1, 2]).trace["l0"]
    with pytest.raises(ValueError, match="tokens: expected 3, one for each step, got 2"):
        plots.gate_heatmap(layer, "cell", tokens=["a", "b"])


def test_markup_in_tokens_is_shown_as_text(read):
    layer = read(["<b>x</b>", "&", "\0"], [0, 1, 2]).trace["l0"]
    (heatmap,) = drawn(plots.gate_heatmap(layer, "cell", tokens=["<b>x</b>", "&", "\0"])).data
    assert list(heatmap.text[0]) == ["&lt;b&gt;x&lt;/b&gt;", "&amp;", "␀"]


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.GRU, glasscell.RNN])
def test_strips_show_every_quantity_of_one_unit(read, kind):
    layer = read(LETTERS, [0, 1, 2, 3], kind).trace["l0"]
    figure = drawn(plots.unit_strips(layer, 2, tokens=list("abc\n")))
    assert {strip.name for strip in figure.data} == set(layer.quantities)
    for strip in figure.data:
        values = layer.sequence(strip.name)[:, 2]
        shown = strip.customdata if strip.name == "cell" else strip.z
        np.testing.assert_allclose(np.asarray(shown)[0], values)


def test_strips_of_few_steps_have_their_tokens_on_the_axis(read):
    layer = read(LETTERS, [0, 1, 2, 3]).trace["l0"]
    figure = drawn(plots.unit_strips(layer, 2, tokens=["a", "<b>", "c", "\n"]))
    assert list(figure.layout.xaxis.tickvals) == [0, 1, 2, 3]
    assert list(figure.layout.xaxis.ticktext) == ["a", "&lt;b&gt;", "c", "⏎"]
    assert drawn(plots.unit_strips(layer, 2)).layout.xaxis.ticktext is None
    long = read(LETTERS, [0, 1, 2, 3] * 30).trace["l0"]
    assert drawn(plots.unit_strips(long, 2, tokens=["a"] * 120)).layout.xaxis.ticktext is None


def test_saturation_has_a_panel_a_gate_and_a_point_a_unit(read):
    found = saturation(read(LETTERS, [0, 1, 2, 3], hidden=5).trace["l0"], low=0.45, high=0.55)
    figure = drawn(plots.saturation_scatter(found, unit=3))
    panels = {points.xaxis for points in figure.data}
    assert len(panels) == 3
    for k, gate in enumerate(found.values()):
        assert list(figure.data[2 * k].x) == gate.left.tolist()
        assert list(figure.data[2 * k].y) == gate.right.tolist()
        assert list(figure.data[2 * k + 1].customdata) == [3]


def test_memory_bars_are_in_order_and_endless_ones_are_marked():
    units = [UnitMemory(4, math.inf), UnitMemory(0, 12.5), UnitMemory(2, 0.5)]
    bars, chosen = drawn(plots.memory_span_bars(units, unit=0)).data
    assert list(bars.x) == ["4", "0", "2"]
    assert list(bars.y) == [25.0, 12.5, 0.5]
    assert list(bars.text) == ["∞", "12.5", "0.5"]
    assert list(chosen.x) == ["0"]


def test_next_token_frames_the_guess_that_came_true():
    p = torch.tensor([[0.1, 0.6, 0.3], [0.5, 0.2, 0.3], [0.4, 0.3, 0.3]])
    found = predictions(p.log(), torch.tensor([0, 2, 0]), top=2)
    figure = drawn(plots.next_token(found, ["a", "c", "a"], ["a", "b", "c"]))
    (heatmap,) = figure.data
    assert heatmap.text.tolist() == [["b", "a", "a"], ["c", "c", "b"]]
    np.testing.assert_allclose(heatmap.z, [[0.6, 0.5, 0.4], [0.3, 0.3, 0.3]], atol=1e-6)
    # After "a" came "c", the second guess; after that "a", the first; then the text ends.
    frames = [(round(shape.x0 + 0.46), round(shape.y0 + 0.44)) for shape in figure.layout.shapes]
    assert frames == [(0, 1), (1, 0)]


def test_every_figure_can_be_written_for_light_and_dark_pages(read):
    seen = read(LETTERS, [0, 1, 2, 3])
    layer = seen.trace["l0"]
    for dark, theme in ((False, LIGHT), (True, DARK)):
        for figure in (
            plots.gate_heatmap(layer, "cell", dark=dark),
            plots.unit_strips(layer, 0, dark=dark),
            plots.saturation_scatter(saturation(layer), dark=dark),
            plots.memory_span_bars(units_by_memory(layer), dark=dark),
            plots.next_token(predictions(seen.logits, seen.ids), list("abc\n"), LETTERS, dark=dark),
        ):
            assert json.loads(drawn(figure).to_json())["layout"]["paper_bgcolor"] == theme.surface


def test_colours_are_well_formed_and_each_gate_of_a_cell_has_its_own():
    for theme in (LIGHT, DARK):
        colours = [look.colour(theme) for look in LOOKS.values()]
        assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
        lstm = ("input_gate", "forget_gate", "candidate", "output_gate", "cell", "hidden")
        assert len({LOOKS[name].colour(theme) for name in lstm}) == 6
