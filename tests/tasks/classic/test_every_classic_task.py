"""What holds for every classic task: seeds, shapes, levels, and steps after a sequence's end."""

import re
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from glasscell.tasks.classic import TASKS, SequenceModel
from glasscell.tasks.generated import Batch, Detailed

RAGGED = ("reber", "anbn", "anbncn", "dyck2")

every_task = pytest.mark.parametrize("name", TASKS)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_names():
    assert set(TASKS) == {"reber", "copy", "anbn", "anbncn", "parity", "dyck2", "adding",
                          "temporal_order", "turnstile"}  # fmt: skip


@every_task
def test_a_seed_draws_the_same_batch_again_and_another_another(name):
    task = TASKS[name]()
    one, two, three = (task.batch(20, seeded(s)) for s in (4, 4, 5))
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(one.targets, two.targets)
    assert torch.equal(one.lengths, two.lengths)
    assert not torch.equal(one.inputs, three.inputs)


@every_task
def test_sizes_are_what_the_task_says(name):
    task = TASKS[name]()
    batch = task.batch(50, seeded())
    T = int(batch.lengths.max())
    assert batch.inputs.shape == (T, 50, task.input_size)
    assert batch.targets.shape[:1] == ((T,) if task.every_step else (50,))
    assert int(batch.lengths.min()) > 0
    assert (len(set(batch.lengths.tolist())) > 1) == (name in RAGGED)
    longest = task.T + 20 if name == "copy" else task.T
    assert longest >= T
    with torch.no_grad():
        outputs = SequenceModel(task, hidden=4)(batch.inputs, lengths=batch.lengths)
    assert outputs.shape[-1] == task.output_size
    assert bool(task.loss(outputs, batch).isfinite())


@every_task
def test_an_untrained_model_is_not_better_than_chance(name):
    task = TASKS[name]()
    batch = task.batch(500, seeded())
    with torch.no_grad():
        outputs = SequenceModel(task, hidden=8)(batch.inputs, lengths=batch.lengths)
    score = task.score(outputs, batch)
    if task.goal == "lower":
        assert score > 0.9 * task.chance
        assert task.optimum < task.chance
    else:
        assert score < task.chance + 0.06
        assert task.chance < task.optimum


@every_task
def test_details_are_shares(name):
    task = TASKS[name]()
    assert isinstance(task, Detailed)
    batch = task.batch(30, seeded())
    with torch.no_grad():
        outputs = SequenceModel(task, hidden=4)(batch.inputs, lengths=batch.lengths)
    told = task.details(outputs, batch)
    assert told
    assert all(0 <= share <= 1 for share in told.values())


@pytest.mark.parametrize("name", RAGGED)
def test_steps_after_the_end_count_nowhere(name):
    task = TASKS[name]()
    batch = task.batch(40, seeded())
    after = ~batch.real_steps
    assert bool(after.any())
    assert not bool(batch.inputs[after].any())
    outputs = torch.randn(*batch.targets.shape, generator=seeded(1)) + 4 * (batch.targets - 0.5)
    other, targets = outputs.clone(), batch.targets.clone()
    other[after] = float("nan")
    targets[after] = 1 - targets[after]
    strange = Batch(batch.inputs, targets, batch.lengths)
    assert float(task.loss(outputs, batch)) == float(task.loss(other, strange))
    assert task.score(outputs, batch) == task.score(other, strange)
    assert task.details(outputs, batch) == task.details(other, strange)


@pytest.mark.parametrize("name", RAGGED)
def test_of_legal_symbols_every_constant_answer_is_wrong_in_every_string(name):
    """All subsets of the symbols."""
    task = TASKS[name]()
    batch = task.batch(300, seeded())
    O = task.output_size
    for k in range(2**O):
        answer = torch.tensor([1.0 if k >> o & 1 else -1.0 for o in range(O)])
        assert task.score(answer.expand(*batch.targets.shape), batch) == task.chance == 0


@pytest.mark.parametrize("name", RAGGED)
def test_of_legal_symbols_the_targets_themselves_are_the_optimum_and_a_slip_costs_its_string(name):
    task = TASKS[name]()
    batch = task.batch(100, seeded())
    answers = 40 * batch.targets - 20
    assert task.score(answers, batch) == 1 == task.optimum
    assert float(task.loss(answers, batch)) == pytest.approx(0, abs=1e-6)
    for b, factor in ((3, -1.0), (7, float("nan"))):
        last = int(batch.lengths[b]) - 1
        answers[last, b, 0] *= factor
    assert task.score(answers, batch) == pytest.approx(0.98)
    steps = int(batch.lengths.sum())
    assert task.details(answers, batch)["steps"] == pytest.approx(1 - 2 / steps)


@every_task
def test_a_task_can_be_made_longer_and_written_down(name):
    task = TASKS[name]()
    longer = replace(task, T=2 * task.T)
    assert longer.T == 2 * task.T
    assert TASKS[name](**asdict(longer)) == longer


def test_the_guide_tells_the_levels_that_there_are():
    guide = Path(__file__).parents[3] / "docs/guide/classic.md"
    told: dict[str, tuple[str, str]] = {}
    for row in re.findall(r"^\| `.*", guide.read_text("utf-8"), re.MULTILINE):
        names, *_, measure, chance, optimum = (cell.strip() for cell in row.strip("|").split("|"))
        for name in re.findall(r"`(\w+)`", names):
            told[name] = chance, optimum
            assert measure == TASKS[name]().measure
    assert set(told) == set(TASKS)
    for name, shown in told.items():
        task = TASKS[name]()
        for text, value in zip(shown, (task.chance, task.optimum), strict=True):
            expected = 100 * value if "%" in text else value
            digits = len(text.rstrip(" %").partition(".")[2])
            assert float(text.rstrip(" %")) == round(expected, digits), name
