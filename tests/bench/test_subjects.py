"""What is run: lengths, operations, loops that are the same cell, gradients that reach all."""

import pytest
import torch
from tests.tolerances import assert_close
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import glasscell
from glasscell.bench.loops import Looped
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject, ragged_lengths, side_by_side


@pytest.mark.parametrize("B", [1, 7, 32, 64])
def test_ragged_lengths(B):
    lengths = ragged_lengths(B, 100)
    assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
    assert lengths.double().mean() == pytest.approx(55, abs=0.5)
    assert lengths.min() >= 10
    assert lengths.max() <= 100
    assert torch.equal(lengths, ragged_lengths(B, 100))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_loops_are_the_cell_that_they_stand_beside(kind):
    layer, x = getattr(nn, kind)(4, 5), torch.randn(6, 3, 4)
    with glasscell.trace(layer) as trace:
        output, _ = layer(x)
    loop = Looped(layer)
    assert_close(loop(x)[0], output)
    gates = trace["l0"].record.gates
    assert gates is not None
    assert loop.gates is not None
    assert_close(loop.gates.flatten(0, 1), gates)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("trained", [False, True])
def test_operations_are_those_of_the_products(kind, trained):
    subject = Subject(B=3, H=8, T=5, kind=kind, trained=trained)
    _, layer = subject.layers()
    loop, x = Looped(layer), subject.input()
    with FlopCounterMode(display=False) as counter:
        output, _ = loop(x)
        if trained:
            output.sum().backward()
    # nothing flows back from the first step's product into the initial state
    first = 2 * subject.B * 8 * 8 * {"LSTM": 4, "GRU": 3}[kind] if trained else 0
    assert counter.get_total_flops() == subject.flops - first


def test_a_ragged_batch_costs_its_tokens():
    dense, ragged = Subject(8, 8, 100), Subject(8, 8, 100, ragged=True)
    assert ragged.flops / dense.flops == pytest.approx(0.55, abs=0.01)
    projected = Subject(8, 8, 100, projected=True)
    assert projected.flops / dense.flops == (2 * 4 * 8 * 12 + 2 * 4 * 8) / (2 * 4 * 8 * 16)


@pytest.mark.parametrize("ragged", [False, True])
def test_a_training_step_asks_for_every_gradient(ragged):
    comparison = side_by_side(Subject(3, 4, 10, trained=True, ragged=ragged), gates_kept=not ragged)
    for peer in (comparison.ours, *comparison.rivals):
        assert peer.answer is not None
        gradients = peer.answer().gradients
        assert "the input" in gradients
        assert len(gradients) == 5
        assert all(gradient.abs().sum() > 0 for gradient in gradients.values())


def test_grids():
    full = Scale()
    assert full.grid((1, 2), (3, 4)) == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert Scale.quick().grid((16, 32, 64), (128, 256, 512)) == [(16, 128), (32, 256)]
    assert Scale.quick().grid((1,), (64, 128)) == [(1, 64), (1, 128)]
    assert Scale.quick().grid((1,), (64,)) == [(1, 64)]
    assert Scale(few=True, divide=16).grid((16, 32), (128, 256)) == [(1, 8), (2, 16)]
