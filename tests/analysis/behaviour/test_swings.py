import pytest
import torch

from glasscell.analysis import swings


def test_units_that_hold_and_let_go_swing_most(layer_with):
    t = torch.arange(400)
    held = torch.where(t // 20 % 2 == 0, 0.9, -0.9)  # changes sides every 20 steps
    flickers = torch.where(t % 2 == 0, 0.9, -0.9)
    still = torch.full((400,), 0.9)
    layer = layer_with("rnn", hidden=torch.stack([flickers, held, still], -1))
    found = swings(layer)
    assert found.argmax() == 1
    assert found[1] > 3 * found[0]
    assert found[2] == pytest.approx(0, abs=1e-9)


def test_short_texts_and_one_step_are_taken(layer_with):
    assert swings(layer_with("rnn", hidden=torch.full((1, 2), 0.5))).tolist() == [0.0, 0.0]


def test_lengths_out_of_order_are_refused(layer_with):
    with pytest.raises(ValueError, match="1 <= short < long"):
        swings(layer_with("rnn", hidden=torch.full((3, 1), 0.5)), short=5, long=5)
