"""Delayed parity, against a loop over the bits."""

import pytest
import torch

from glasscell.errors import InputError
from glasscell.tasks.classic import Parity


@pytest.mark.parametrize(
    ("T", "bits", "delay"), [(12, 3, 2), (9, 1, 0), (9, 1, 4), (10, 2, 0), (10, 0, 0), (10, 0, 3)]
)
def test_step_by_step(T, bits, delay):
    task = Parity(T, bits, delay)
    batch = task.batch(60, torch.Generator().manual_seed(0))
    assert set(batch.inputs.flatten().tolist()) == {1.0, -1.0}
    for b in range(60):
        bit = [int(v > 0) for v in batch.inputs[:, b, 0].tolist()]
        for t in range(T):
            last = t - delay
            first = last - bits + 1 if bits else 0
            whole = last >= 0 and first >= 0
            assert (t >= task.first) == whole
            if whole:
                assert float(batch.targets[t, b]) == sum(bit[first : last + 1]) % 2


@pytest.mark.parametrize("bits", [0, 1, 3])
def test_always_one_answer_is_right_at_half_of_the_steps(bits):
    task = Parity(T=30, bits=bits, delay=4)
    batch = task.batch(5000, torch.Generator().manual_seed(0))
    for side in (-1.0, 1.0):
        score = task.score(torch.full((30, 5000, 1), side), batch)
        assert score == pytest.approx(task.chance, abs=0.01)
    # nor does it help to know all bits but one
    bit = batch.inputs[..., 0] > 0
    if bits == 3:
        odd = bit[:-6] ^ bit[1:-5]  # the third is not looked at
        assert float((odd == batch.targets[6:].bool()).double().mean()) == pytest.approx(
            0.5, abs=0.01
        )


def test_the_first_steps_count_nowhere():
    task = Parity(T=9, bits=2, delay=3)
    assert task.first == 4
    batch = task.batch(20, torch.Generator().manual_seed(0))
    answers = (40 * batch.targets - 20)[..., None]
    answers[:4] *= float("nan")
    assert task.score(answers, batch) == task.optimum == 1
    assert float(task.loss(answers, batch)) == pytest.approx(0, abs=1e-6)
    answers[4, 0] = float("nan")
    assert task.score(answers, batch) == pytest.approx(1 - 1 / 100)
    assert task.details(answers, batch) == {"sequences": 0.95}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"T": 4, "bits": 3, "delay": 2}, "T: expected at least 5 steps with bits=3 and delay=2"),
        ({"bits": -1}, "bits: expected 0 or more, got -1"),
        ({"delay": -1}, "delay: expected 0 or more, got -1"),
    ],
)
def test_sizes_that_cannot_be(wrong, says):
    with pytest.raises(InputError, match=says):
        Parity(**wrong)
