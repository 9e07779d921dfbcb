import pytest
import torch

from glasscell.analysis import saturation, sigmoid_gates


def test_fractions_are_those_counted_by_hand(layer_with):
    f = torch.tensor([[0.05, 0.95], [0.5, 0.95], [0.02, 0.91], [0.92, 0.89]])  # (4, 2)
    found = saturation(layer_with("lstm", forget_gate=f))
    assert found["forget_gate"].left.tolist() == [0.5, 0.0]
    assert found["forget_gate"].right.tolist() == [0.25, 0.75]
    assert found["input_gate"].left.tolist() == [0.0, 0.0]


def test_bounds_can_be_moved(layer_with):
    f = torch.tensor([[0.3], [0.3], [0.8]])
    found = saturation(layer_with("lstm", forget_gate=f), low=0.4, high=0.7)["forget_gate"]
    assert found.left.item() == pytest.approx(2 / 3)
    assert found.right.item() == pytest.approx(1 / 3)


def test_gates_are_those_of_the_cell_in_its_order(layer_with):
    values = torch.full((3, 2), 0.5)
    lstm = layer_with("lstm", forget_gate=values)
    gru = layer_with("gru", update_gate=values)
    assert tuple(saturation(lstm)) == ("input_gate", "forget_gate", "output_gate")
    assert tuple(saturation(gru)) == ("reset_gate", "update_gate")


def test_padding_does_not_count(layer_with):
    f = torch.full((4, 2, 1), 0.95)
    f[1:, 1] = 0.5  # the second sequence has one real step
    found = saturation(layer_with("lstm", lengths=torch.tensor([4, 1]), forget_gate=f))
    assert found["forget_gate"].right.item() == 1.0


def test_a_simple_rnn_has_no_gates_to_saturate(layer_with):
    rnn = layer_with("rnn", hidden=torch.full((3, 2), 0.5))
    assert sigmoid_gates(rnn) == ()
    with pytest.raises(ValueError, match="l0: an RNN has no gates"):
        saturation(rnn)


@pytest.mark.parametrize(("low", "high"), [(0.9, 0.1), (-0.1, 0.9), (0.1, 1.1)])
def test_bounds_out_of_order_are_refused(layer_with, low, high):
    lstm = layer_with("lstm", forget_gate=torch.full((3, 1), 0.5))
    with pytest.raises(ValueError, match="0 <= low <= high <= 1"):
        saturation(lstm, low=low, high=high)
