import pytest
import torch

import glasscell
from glasscell.analysis import extreme_gates, most_moved_cells, movement


def test_most_open_and_most_shut_gates_are_found(layer_with):
    f = torch.tensor([[0.2, 0.9, 0.6], [0.7, 0.1, 0.3]])
    found = extreme_gates(layer_with("lstm", forget_gate=f), top=2)["forget_gate"]
    assert found.open.units.tolist() == [[1, 2], [0, 2]]
    assert found.shut.units.tolist() == [[0, 2], [1, 2]]
    torch.testing.assert_close(found.open.values[0], torch.tensor([0.9, 0.6]).double())
    torch.testing.assert_close(found.shut.values[1], torch.tensor([0.1, 0.3]).double())


def test_equal_gates_come_by_number(layer_with):
    found = extreme_gates(layer_with("gru", update_gate=torch.full((2, 3), 0.5)), top=3)
    assert found["reset_gate"].open.units.tolist() == [[0, 1, 2]] * 2
    assert found["update_gate"].shut.units.tolist() == [[0, 1, 2]] * 2


def test_a_simple_rnn_has_no_extreme_gates(layer_with):
    assert extreme_gates(layer_with("rnn", hidden=torch.full((2, 3), 0.5))) == {}


def test_cells_move_as_the_recurrence_says(layer_with):
    # f = 1/2 and i = 1/2 throughout, so c_t = (c_{t-1} + g_t) / 2, from c = 0.
    g = torch.tensor([[0.8, -0.4], [0.0, 0.0], [0.2, 0.9]])
    moved = movement(layer_with("lstm", candidate=g))
    c = torch.tensor([[0.4, -0.2], [0.2, -0.1], [0.2, 0.4]]).double()
    expected = torch.stack([c[0], c[1] - c[0], c[2] - c[1]])
    torch.testing.assert_close(moved, expected)
    ranked = most_moved_cells(layer_with("lstm", candidate=g), top=1)
    assert ranked.units.flatten().tolist() == [0, 0, 1]
    torch.testing.assert_close(ranked.values.flatten(), expected[[0, 1, 2], [0, 0, 1]])


@pytest.mark.parametrize("kind", [glasscell.LSTM, glasscell.GRU, glasscell.RNN])
@pytest.mark.parametrize("batch_first", [False, True])
def test_movements_add_up_to_where_each_sequence_ends(kind, batch_first):
    torch.manual_seed(0)
    module = kind(3, 4, bidirectional=True, batch_first=batch_first)
    x = torch.randn(2, 5, 3) if batch_first else torch.randn(5, 2, 3)
    h_0 = torch.randn(2, 2, 4)
    start = (h_0, torch.randn(2, 2, 4)) if kind is glasscell.LSTM else h_0
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x, start, lengths=torch.tensor([3, 5]))
    for name in ("l0", "l0_reverse"):
        layer = trace[name]
        quantity = "cell" if kind is glasscell.LSTM else "hidden"
        initial = layer.initial_cell if kind is glasscell.LSTM else layer.initial_hidden
        for b in range(2):
            state = layer.sequence(quantity, b)
            end = state[0] if layer.reverse else state[-1]
            torch.testing.assert_close(initial[b] + movement(layer, b).sum(0), end)


def test_no_more_units_than_there_are_and_at_least_one(layer_with):
    layer = layer_with("lstm", forget_gate=torch.full((2, 3), 0.5))
    assert most_moved_cells(layer, top=10).units.shape == (2, 3)
    with pytest.raises(ValueError, match="top: expected at least 1, got 0"):
        most_moved_cells(layer, top=0)
