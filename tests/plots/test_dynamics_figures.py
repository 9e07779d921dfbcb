import json
import math
from typing import Any

import numpy as np
import pytest
import torch

import glasscell
from glasscell import analysis, plots
from glasscell.analysis import FixedPoints, KickSurvival, LyapunovSpectrum, TimeScales
from glasscell.errors import InputError
from glasscell.plots.palette import DARK, LIGHT

T, B, I, H = 20, 2, 3, 4


def drawn(figure) -> Any:
    """A figure, whose parts plotly declares too loosely to be type-checked."""
    return figure


@pytest.fixture
def run():
    """A layer and its trace."""
    gru = glasscell.GRU(I, H)
    with torch.no_grad(), glasscell.trace(gru) as trace:
        gru(torch.randn(T, B, I))
    return gru, trace["l0"]


def test_a_spectrum_shows_exponents_their_errors_and_how_they_converged():
    growth = torch.randn(T, B, 3, dtype=torch.float64)
    exponents = torch.tensor([0.2, -0.4, -math.inf], dtype=torch.float64)
    errors = torch.tensor([0.01, 0.02, math.nan], dtype=torch.float64)
    found = LyapunovSpectrum(exponents, errors, growth)
    points, *lines = drawn(plots.lyapunov_spectrum(found)).data
    assert list(points.x) == [1, 2]
    assert list(points.y) == [0.2, -0.4]
    assert list(points.error_y.array) == [0.02, 0.04]
    assert list(points.marker.color) == [LIGHT.positive, LIGHT.negative]
    assert len(lines) == 2
    for k, line in enumerate(lines):
        np.testing.assert_allclose(line.y, found.running[:, k])
        assert list(line.x) == list(range(1, T + 1))
    titles = [each.text for each in drawn(plots.lyapunov_spectrum(found)).layout.annotations]
    assert titles == ["Spectrum (1 at −∞)", "Convergence"]
    assert len(drawn(plots.lyapunov_spectrum(found, shown=1)).data) == 2
    with pytest.raises(InputError, match="shown: expected at least 1"):
        plots.lyapunov_spectrum(found, shown=0)


def points_of(states: torch.Tensor) -> FixedPoints:
    """One of each stability, and a slow one."""
    values = torch.tensor([[0.5, 0.1], [1.0, 0.1], [1.5, 0.1], [1.5, 1.5], [0.5, 0.1]])
    eigenvalues = torch.cat((values, torch.zeros(5, H - 2)), 1)
    eigenvalues[3, 2:] = 2.0
    fixed = torch.tensor([True, True, True, True, False])
    speed = torch.where(fixed, 1e-12, 1e-4).double()
    return FixedPoints(
        states, states, None, speed, fixed, torch.arange(1, 6), eigenvalues.to(torch.complex128)
    )


def test_a_phase_plane_shows_the_path_and_each_kind_of_point(run):
    _, layer = run
    components = analysis.principal_components(layer, 3)
    found = points_of(torch.randn(5, H, dtype=torch.float64))
    tokens = [f"<{k}>" for k in range(T)]
    figure = drawn(
        plots.phase_plane(components, layer, points=found, tokens=tokens, axes=(0, 2), b=1)
    )
    path, *marks = figure.data
    expected = components.sequence(layer, 1).numpy()
    np.testing.assert_allclose(path.x, expected[:, 0])
    np.testing.assert_allclose(path.y, expected[:, 2])
    assert path.text[3] == "&lt;3&gt;"
    assert [mark.marker.symbol for mark in marks] == [
        "circle", "square", "diamond", "x", "circle-open",
    ]  # fmt: skip
    places = components.project(found).numpy()
    np.testing.assert_allclose([mark.x[0] for mark in marks], places[:, 0])
    np.testing.assert_allclose([mark.y[0] for mark in marks], places[:, 2])
    assert marks[2].customdata[0][0] == "1 unstable directions"
    assert marks[4].customdata[0][1] == "1.0e-04"
    assert figure.layout.yaxis.scaleanchor == "x"
    assert f"({components.share[0]:.0%} of the variance)" in figure.layout.xaxis.title.text


def test_a_phase_plane_refuses_what_does_not_fit(run):
    _, layer = run
    components = analysis.principal_components(layer, 2)
    with pytest.raises(InputError, match="axes: expected two of the components 0 to 1"):
        plots.phase_plane(components, layer, axes=(0, 2))
    with pytest.raises(InputError, match="tokens: expected 20, one for each step, got 1"):
        plots.phase_plane(components, layer, tokens=["a"])


def test_kicks_are_shown_longest_memory_on_top():
    rates = torch.tensor([0.5, 0.999, 0.8], dtype=torch.float64)
    own = rates ** torch.arange(31)[:, None]
    found = KickSurvival(torch.tensor([4, 0, 2]), own, own.sqrt(), own**2, times=7)
    figure = drawn(plots.kick_survival(found))
    heatmap, measured, alone = figure.data
    assert list(figure.layout.yaxis.ticktext) == ["0", "2", "4"]
    np.testing.assert_allclose(heatmap.z, own[1:, [1, 2, 0]].T)
    assert len(heatmap.x) == 31
    # each step lies within its own column
    assert all(heatmap.x[k] < k + 1 < heatmap.x[k + 1] for k in range(30))
    np.testing.assert_allclose(measured.x, [math.nan, -1 / math.log(0.8), -1 / math.log(0.5)])
    np.testing.assert_allclose(alone.x[1:], [-0.5 / math.log(0.8), heatmap.x[0]], rtol=0.03)
    np.testing.assert_allclose(
        drawn(plots.kick_survival(found, of="whole")).data[0].z, own.sqrt()[1:, [1, 2, 0]].T
    )
    with pytest.raises(InputError, match="of: expected 'own' or 'whole'"):
        plots.kick_survival(found, of="carousel")  # type: ignore[arg-type]


def test_time_scales_mark_what_is_longer_than_was_measured():
    found = TimeScales(
        units=torch.tensor([3, 1, 0]),
        gates=torch.tensor([math.inf, 9.0, 0.0]).double(),
        measured=torch.tensor([math.inf, 4.0, 2.0]).double(),
        window=12,
    )
    gates, measured, window = drawn(plots.time_scales(found)).data
    assert list(measured.y) == [12, 4, 2]
    assert list(measured.marker.symbol) == ["diamond-open", "diamond", "diamond"]
    assert list(measured.customdata) == ["more than 12", "4", "2"]
    assert list(gates.y) == [24, 9, 0.1]
    assert list(gates.customdata) == ["∞", "9", "0"]
    assert list(gates.text) == ["3", "1", "0"]
    assert list(window.y) == [12, 12]
    only = drawn(plots.time_scales(TimeScales(found.units, found.gates)))
    assert [series.name for series in only.data] == ["by the gates"]


def test_each_can_be_written_for_light_and_dark_pages(run):
    gru, layer = run
    kicks = analysis.kick_survival(gru, layer)
    spectrum = analysis.lyapunov_exponents(gru, layer)
    components = analysis.principal_components(layer, 2)
    points = analysis.fixed_points(gru, starts=layer, n=10)
    for dark, theme in ((False, LIGHT), (True, DARK)):
        for figure in (
            plots.lyapunov_spectrum(spectrum, dark=dark),
            plots.phase_plane(components, layer, points=points, dark=dark),
            plots.kick_survival(kicks, dark=dark),
            plots.time_scales(analysis.time_scales(layer, kicks), dark=dark),
        ):
            assert json.loads(drawn(figure).to_json())["layout"]["paper_bgcolor"] == theme.surface
