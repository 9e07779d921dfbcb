import math

import pytest
import torch

from glasscell.analysis import half_lives, memory_span, units_by_memory


def test_a_constant_gate_gives_its_time_constant(layer_with):
    f = torch.tensor([0.5, 0.9, 0.99]).expand(6, 3)
    expected = [-1 / math.log(0.5), -1 / math.log(0.9), -1 / math.log(0.99)]
    assert memory_span(layer_with("lstm", forget_gate=f)).tolist() == pytest.approx(expected)
    # 1/e of what is there is left after so many steps.
    assert 0.9 ** expected[1] == pytest.approx(1 / math.e)


def test_the_mean_is_the_arithmetic_one_unless_asked(layer_with):
    layer = layer_with("lstm", forget_gate=torch.tensor([[0.2], [0.8]]))
    assert memory_span(layer).item() == pytest.approx(-1 / math.log(0.5))
    geometric = memory_span(layer, mean="geometric").item()
    assert geometric == pytest.approx(-1 / math.log(math.sqrt(0.2 * 0.8)))
    assert geometric < memory_span(layer).item()


def test_a_gru_remembers_by_its_update_gate(layer_with):
    layer = layer_with("gru", update_gate=torch.full((5, 1), 0.75))
    assert memory_span(layer).item() == pytest.approx(-1 / math.log(0.75))


def test_never_forgetting_is_infinite_and_never_keeping_is_zero(layer_with):
    f = torch.tensor([1.0, 0.0]).expand(3, 2)
    for mean in ("arithmetic", "geometric"):
        assert memory_span(layer_with("lstm", forget_gate=f), mean).tolist() == [math.inf, 0.0]


def test_only_real_steps_are_averaged(layer_with):
    f = torch.full((3, 2, 1), 0.9)
    f[1:, 1] = 0.1
    layer = layer_with("lstm", lengths=torch.tensor([3, 1]), forget_gate=f)
    assert memory_span(layer).item() == pytest.approx(-1 / math.log(0.9))


def test_units_come_longest_first_and_equals_by_number(layer_with):
    f = torch.tensor([0.5, 0.9, 0.5, 0.99]).expand(4, 4)
    layer = layer_with("lstm", forget_gate=f)
    assert [each.unit for each in units_by_memory(layer)] == [3, 1, 0, 2]
    (longest,) = units_by_memory(layer, top=1)
    assert longest.unit == 3
    assert longest.steps == pytest.approx(-1 / math.log(0.99))


def test_a_simple_rnn_is_refused_and_told_why(layer_with):
    with pytest.raises(ValueError, match="writes its whole state anew"):
        memory_span(layer_with("rnn", hidden=torch.full((3, 2), 0.5)))


def test_an_unknown_mean_is_refused(layer_with):
    layer = layer_with("lstm", forget_gate=torch.full((3, 1), 0.5))
    with pytest.raises(ValueError, match="'arithmetic' or 'geometric'"):
        memory_span(layer, mean="harmonic")  # type: ignore[arg-type]


def test_half_lives_are_the_steps_until_a_half_is_left(layer_with):
    f = torch.tensor([0.5, 0.9, 1.0, 0.0], dtype=torch.float64).expand(6, 4)
    layer = layer_with("lstm", forget_gate=f)
    found = half_lives(layer)
    assert found.tolist() == pytest.approx([1.0, math.log(0.5) / math.log(0.9), math.inf, 0.0])
    mixed = layer_with("gru", update_gate=torch.tensor([[0.2], [0.8]]))
    geometric = half_lives(mixed, "geometric").item()
    assert math.sqrt(0.2 * 0.8) ** geometric == pytest.approx(0.5)
    with pytest.raises(ValueError, match="writes its whole state anew"):
        half_lives(layer_with("rnn", hidden=torch.full((3, 2), 0.5)))


def test_units_can_be_sorted_by_either_mean(layer_with):
    f = torch.tensor([[0.01, 0.4], [0.99, 0.4]])
    layer = layer_with("lstm", forget_gate=f)
    assert [each.unit for each in units_by_memory(layer)] == [0, 1]
    assert [each.unit for each in units_by_memory(layer, mean="geometric")] == [1, 0]
