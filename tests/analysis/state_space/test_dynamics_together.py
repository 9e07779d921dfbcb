"""`analysis.dynamics` is its two parts, on one run."""

import torch
from tests.tolerances import assert_close, assert_same_bits

import glasscell
from glasscell import analysis


def test_a_path_ends_at_the_fixed_point_under_its_own_input():
    """A contracting network that reads the same input for long comes to rest at the point found."""
    rnn = glasscell.RNN(2, 3, dtype=torch.float64)
    x = torch.tensor([0.5, -1.0], dtype=torch.float64)
    with glasscell.trace(rnn) as trace:
        rnn(x.expand(300, 2, 2))
    layer = trace["l0"]
    found = analysis.dynamics(rnn, layer, x, k=2)
    assert found.points.stability == ("stable",)
    assert_close(found.path(b=1)[-1], found.places[0])


def test_the_parts_are_those_asked_for_alone():
    gru = glasscell.GRU(2, 3)
    with glasscell.trace(gru) as trace:
        gru(torch.randn(20, 2, 2))
    layer = trace["l0"]
    found = analysis.dynamics(gru, layer, k=2, n=16, seed=3)
    points = analysis.fixed_points(gru, starts=layer, n=16, seed=3)
    assert_same_bits(found.points.states, points.states)
    components = analysis.principal_components(layer, 2)
    assert_same_bits(found.path(), components.sequence(layer, 0))
    assert_same_bits(found.places, components.project(points))
