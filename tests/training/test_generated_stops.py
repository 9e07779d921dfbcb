"""The loop for tasks that make their own sequences: ending by the clock, watching, going on."""

import copy

import pytest
import torch

from glasscell.errors import InputError
from glasscell.tasks.classic import Reber, SequenceModel, Turnstile
from glasscell.training.generated import GeneratedLoop, GeneratedRecipe, train_generated
from glasscell.training.generated_checkpoint import read_loop, write_loop
from glasscell.training.model_folder import FolderError, FolderWriter

TASK = Turnstile(T=8)
RECIPE = GeneratedRecipe(steps=60, batch=4, every=20, measured_on=50, seed=3, decay=True)


def model(**options):
    torch.manual_seed(5)
    return SequenceModel(TASK, hidden=6, layers=2, **options)


def weights(trained):
    return torch.cat([p.detach().flatten() for p in trained.parameters()])


def test_time_ends_it_between_two_steps_and_the_end_is_measured():
    recipe = GeneratedRecipe(steps=10**9, batch=2, every=10**9, measured_on=5)
    run = train_generated(model(), TASK, recipe, seconds=0.2)
    assert 0.2 <= run.seconds < 20
    assert len(run.history) == 1
    assert run.steps > 1
    assert 0.2 <= run.history[-1].seconds <= run.seconds


def test_the_shortest_time_has_one_step():
    run = train_generated(model(), TASK, RECIPE, seconds=1e-12)
    assert [each.step for each in run.history] == [1]


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan")])
def test_no_time_at_all(seconds):
    with pytest.raises(InputError, match="seconds: expected more than 0, got"):
        train_generated(model(), TASK, RECIPE, seconds=seconds)


def test_with_a_time_limit_the_learning_rate_falls_with_what_is_nearer(monkeypatch):
    rates, now = [], [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])

    def watch(loop: GeneratedLoop) -> None:
        rates.append(loop._optimizer.param_groups[0]["lr"])
        now[0] += 10.0

    recipe = GeneratedRecipe(steps=20, batch=2, every=20, measured_on=5, decay=True)
    run = train_generated(model(), TASK, recipe, seconds=50, on_step=watch)
    assert run.steps == 6  # the clock is read after each step: at 0, 10, ..., 50
    assert rates == pytest.approx([5e-3 * left for left in (1, 0.8, 0.6, 0.4, 0.2, 0)])


def test_watchers_see_every_step_and_every_measurement():
    steps, measured = [], []
    run = train_generated(
        model(),
        TASK,
        RECIPE,
        on_step=lambda loop: steps.append((loop.step, loop.loss)),
        on_measure=lambda loop: measured.append(loop.history[-1]),
    )
    assert [step for step, _ in steps] == list(range(1, 61))
    assert measured == list(run.history)
    for first, each in zip((0, 20, 40), measured, strict=True):
        losses = [loss for _, loss in steps[first : first + 20]]
        assert each.loss == pytest.approx(sum(losses) / 20)
    assert run.model.training is False
    # the clock, and what the task has to say
    assert 0 < measured[0].seconds < measured[1].seconds <= run.seconds
    assert measured[0].details.keys() == {"sequences"}


class Stop(Exception):
    pass


@pytest.mark.parametrize("at", [1, 20, 33])
@pytest.mark.parametrize("options", [{}, {"cell": "gru", "zoneout": 0.2}])
def test_gone_on_with_it_comes_to_the_same_bits(at, options):
    torch.manual_seed(9)
    whole_model = model(**options)
    whole = train_generated(whole_model, TASK, RECIPE)

    states = []

    def stop(loop):
        if loop.step == at:
            states.append(copy.deepcopy(loop.state_dict()))
            raise Stop

    broken = model(**options)
    with pytest.raises(Stop):
        train_generated(broken, TASK, RECIPE, on_step=stop)
    torch.manual_seed(1234)  # another program in between
    again = SequenceModel(TASK, hidden=6, layers=2, **options)
    run = train_generated(again, TASK, RECIPE, resume=states[0])
    assert torch.equal(weights(again), weights(whole_model))
    assert [(m.step, m.loss, m.score, m.details) for m in run.history] == [
        (m.step, m.loss, m.score, m.details) for m in whole.history
    ]
    assert run.seconds > states[0]["seconds"]


def test_without_its_moments_it_would_come_to_others():
    """What the test above must be able to tell."""
    whole = model()
    train_generated(whole, TASK, RECIPE)
    states = []

    def keep(loop):
        if loop.step == 33:
            states.append(copy.deepcopy(loop.state_dict()))

    train_generated(model(), TASK, RECIPE, on_step=keep)
    for key, value in (("moments", [{}] * 10), ("sequences", torch.Generator().get_state())):
        other = model()
        train_generated(other, TASK, RECIPE, resume={**states[0], key: value})
        assert not torch.equal(weights(other), weights(whole))


def test_a_run_gone_on_with_when_all_is_done_is_measured():
    states = []

    def keep(loop):
        if loop.step == 33:
            states.append(copy.deepcopy(loop.state_dict()))

    train_generated(model(), TASK, RECIPE, on_step=keep)
    shorter = GeneratedRecipe(steps=30, batch=4, every=20, measured_on=50, seed=3)
    run = train_generated(model(), TASK, shorter, resume=states[0])
    assert [each.step for each in run.history] == [20, 33]


class TestCheckpoints:
    @pytest.fixture
    def folder(self, tmp_path):
        writer = FolderWriter(tmp_path / "run")
        train_generated(model(), TASK, RECIPE, on_measure=lambda loop: write_loop(writer, loop))
        writer.publish()
        return tmp_path / "run"

    def test_it_says_where_the_run_stood(self, folder):
        saved = read_loop(folder, model())
        assert saved["step"] == 60
        assert [each["step"] for each in saved["history"]] == [20, 40, 60]

    def test_nothing_to_resume(self, tmp_path):
        with pytest.raises(FolderError, match=r"has no last\.ckpt to resume from"):
            read_loop(tmp_path, model())

    def test_of_another_model(self, folder):
        for other in (SequenceModel(TASK, hidden=7, layers=2), SequenceModel(Reber(), hidden=6)):
            with pytest.raises(FolderError, match="is damaged"):
                read_loop(folder, other)

    @pytest.mark.parametrize("keep", [0, 1, 100, 0.5, 0.99])
    def test_cut_short(self, folder, keep):
        raw = (folder / "last.ckpt").read_bytes()
        cut = int(len(raw) * keep) if isinstance(keep, float) else keep
        (folder / "last.ckpt").write_bytes(raw[:cut])
        with pytest.raises(FolderError, match="is damaged: the run cannot be resumed"):
            read_loop(folder, model())

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("step", 0),
            ("step", "many"),
            ("seconds", float("nan")),
            ("seconds", -1.0),
            ("total", float("inf")),
            ("history", [{"step": 1}]),
            ("history", None),
            ("model", {}),
            ("moments", []),
            ("moments", [{"exp_avg": torch.zeros(1)}] * 10),
            ("sequences", torch.zeros(3, dtype=torch.uint8)),
            ("noise", torch.zeros(3)),
        ],
    )
    def test_a_part_that_cannot_be(self, folder, key, value):
        saved = read_loop(folder, model())
        torch.save({**saved, key: value}, folder / "last.ckpt")
        with pytest.raises(FolderError, match="is damaged: the run cannot be resumed"):
            read_loop(folder, model())

    def test_weights_that_are_no_numbers(self, folder):
        saved = read_loop(folder, model())
        saved["model"]["head.bias"][0] = float("nan")
        torch.save(saved, folder / "last.ckpt")
        with pytest.raises(FolderError, match="is damaged"):
            read_loop(folder, model())
