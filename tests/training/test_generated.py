"""The loop for tasks that make their own sequences."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

from glasscell.errors import InputError
from glasscell.tasks.classic import SequenceModel, Turnstile
from glasscell.tasks.generated import Batch, Goal
from glasscell.training.generated import GeneratedRecipe, score, train_generated


class Line(nn.Module):
    """y = w x, so that every update can be followed by hand."""

    def __init__(self, w: float = 0.0) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.tensor(w))

    def forward(self, x, lengths=None):
        return self.w * x


@dataclass
class Doubling:
    """Multiply by 2."""

    scale: float = 1.0
    name = "doubling"
    goal: ClassVar[Goal] = "lower"
    chance = 1.0
    optimum = 0.0

    def __post_init__(self):
        self.sizes: list[int] = []

    def batch(self, size, generator):
        self.sizes.append(size)
        x = torch.rand(1, size, generator=generator)
        return Batch(x, 2 * x, torch.ones(size, dtype=torch.int64))

    def loss(self, outputs, batch):
        return self.scale * (outputs - batch.targets).square().mean()

    def score(self, outputs, batch):
        return float((outputs - batch.targets).abs().max())


def by_hand(recipe: GeneratedRecipe, scale: float = 1.0) -> float:
    """The same updates with Adam's equations written out (Kingma and Ba 2015, algorithm 1)."""
    task, generator = Doubling(), torch.Generator().manual_seed(recipe.seed)
    w = m = v = 0.0
    for t in range(1, recipe.steps + 1):
        x = task.batch(recipe.batch, generator).inputs.double()
        g = float((scale * 2 * (w - 2) * x.square()).mean())
        g *= min(1.0, recipe.clip / (abs(g) + 1e-6)) if recipe.clip else 1.0
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = recipe.learning_rate
        if recipe.decay:
            rate *= 1 - (t - 1) / recipe.steps
        w -= rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)) ** 0.5 + 1e-8)
    return w


@pytest.mark.parametrize("decay", [False, True])
@pytest.mark.parametrize("clip", [0.05, 1e9, 0.0])
def test_its_updates_are_adams_on_clipped_gradients(decay, clip):
    recipe = GeneratedRecipe(steps=60, batch=3, learning_rate=0.1, decay=decay, clip=clip, seed=4)
    model = Line()
    train_generated(model, Doubling(), recipe)
    assert float(model.w.detach()) == pytest.approx(by_hand(recipe), rel=1e-4)


def test_clipping_matters_to_the_oracle():
    few, many = (GeneratedRecipe(steps=60, batch=3, learning_rate=0.1, clip=c) for c in (0.05, 1e9))
    assert by_hand(few) != pytest.approx(by_hand(many), rel=1e-3)


def test_it_stops_at_the_target_and_says_so():
    recipe = GeneratedRecipe(steps=2000, learning_rate=0.05, target=0.01, every=10)
    model = Line()
    run = train_generated(model, Doubling(), recipe)
    assert run.reached
    assert run.steps < 2000
    assert run.score <= 0.01 < run.history[-2].score
    assert [each.step for each in run.history] == list(range(10, run.steps + 1, 10))
    assert run.score == pytest.approx(
        score(model, Doubling(), Doubling().batch(500, torch.Generator().manual_seed(2**32 - 1)))
    )
    assert run.seconds > 0
    assert run.cpu_seconds > 0


def test_a_higher_goal_stops_from_below():
    torch.manual_seed(0)
    task = Turnstile(T=6, most=3)
    run = train_generated(
        SequenceModel(task, "lstm", 8), task, GeneratedRecipe(steps=1500, target=0.97, every=25)
    )
    assert run.reached
    assert run.score >= 0.97
    assert all(each.score < 0.97 for each in run.history[:-1])


def test_without_a_target_it_takes_all_steps_and_measures_at_the_end():
    run = train_generated(Line(), Doubling(), GeneratedRecipe(steps=25, every=10))
    assert [each.step for each in run.history] == [10, 20, 25]
    assert not run.reached


def test_the_loss_it_tells_is_the_mean_since_the_last_time():
    task = Doubling()
    recipe = GeneratedRecipe(steps=4, every=2, batch=5, learning_rate=1e-12)  # w stays 0
    run = train_generated(Line(), task, recipe)
    generator = torch.Generator().manual_seed(0)
    losses = [float((2 * task.batch(5, generator).inputs).square().mean()) for _ in range(4)]
    assert run.history[0].loss == pytest.approx(sum(losses[:2]) / 2)
    assert run.history[1].loss == pytest.approx(sum(losses[2:]) / 2)


def test_the_same_seeds_the_same_bits():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(7)
        task = Turnstile(T=10)
        model = SequenceModel(task, "lstm", 6)
        train_generated(model, task, GeneratedRecipe(steps=30, seed=seed))
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_the_score_is_measured_in_evaluation_mode_and_on_other_sequences():
    class Dropping(nn.Module):
        def __init__(self):
            super().__init__()
            self.line, self.dropout = Line(2.0), nn.Dropout(0.5)

        def forward(self, x, lengths=None):
            return self.dropout(self.line(x))

    model, task = Dropping(), Doubling()
    run = train_generated(model, task, GeneratedRecipe(steps=1, measured_on=77, learning_rate=1e-9))
    assert run.score == pytest.approx(0, abs=1e-6)
    assert not model.training
    assert 77 in task.sizes
    model.train()
    score(model, task, task.batch(3, torch.Generator()))
    assert model.training


def test_a_training_that_falls_apart_says_what_to_change():
    with pytest.raises(InputError, match="learning_rate: training fell apart within 10 updates"):
        train_generated(Line(), Doubling(scale=float("nan")), GeneratedRecipe(steps=10))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"batch": 0}, "batch: expected at least 1"),
        ({"every": 0}, "every: expected at least 1"),
        ({"measured_on": 0}, "measured_on: expected at least 1"),
        ({"learning_rate": 0.0}, "learning_rate: expected more than 0"),
        ({"clip": float("nan")}, "clip: expected 0 or more, got nan"),
        ({"clip": -1.0}, "clip: expected 0 or more, got -1.0"),
        ({"learning_rate": float("inf")}, "learning_rate: expected more than 0, got inf"),
    ],
)
def test_recipes_that_cannot_be(wrong, says):
    with pytest.raises(InputError, match=says):
        GeneratedRecipe(**wrong)
