"""The plan: when to validate, when to stop, how fast to learn."""

import math

import pytest

from glasscell.training.language_recipe import default_learning_rate
from glasscell.training.recipe import DEFAULT_EPOCHS, Plan, Recipe


@pytest.mark.parametrize(
    ("choices", "total"),
    [
        ({}, DEFAULT_EPOCHS * 50),
        ({"epochs": 2}, 100),
        ({"epochs": 0.5}, 25),
        ({"steps": 30}, 30),
        ({"steps": 30, "epochs": 0.2}, 10),
        ({"minutes": 5}, None),
        ({"minutes": 5, "epochs": 1}, 50),
    ],
)
def test_the_first_limit_counts(choices, total):
    assert Plan(Recipe(**choices), 50).total_steps == total


def test_the_rate_rises_then_falls_along_a_cosine_to_two_percent():
    plan = Plan(Recipe(epochs=10, learning_rate=1.0, warmup=4), 100)
    assert [plan.learning_rate(step, 0) for step in range(4)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8], rel=1e-3
    )
    assert plan.learning_rate(500, 0) == pytest.approx(0.51)
    assert plan.learning_rate(999, 0) == pytest.approx(0.02, abs=1e-4)
    falling = [plan.learning_rate(step, 0) for step in range(4, 1000)]
    assert falling == sorted(falling, reverse=True)


def test_warming_up_takes_a_tenth_at_most():
    plan = Plan(Recipe(steps=20, learning_rate=1.0, warmup=50), 100)
    assert plan.learning_rate(2, 0) > 0.9


def test_time_moves_the_schedule_too():
    plan = Plan(Recipe(minutes=2, learning_rate=1.0, warmup=0), 100)
    assert plan.fraction(7, 30) == 0.25
    assert plan.learning_rate(10_000, 60) == pytest.approx(0.51)
    assert plan.is_over(0, 120)
    assert not plan.is_over(10**9, 119)


def test_wider_models_and_plain_rnns_learn_more_slowly():
    assert [default_learning_rate("lstm", h) for h in (16, 256, 512)] == [0.01, 0.01, 0.005]
    assert default_learning_rate("rnn", 64) == 0.004


def test_validations():
    plan = Plan(Recipe(epochs=2.5), 40)
    assert [s for s in range(1, 101) if plan.validates_at(s, 0)] == [40, 80, 100]
    assert Plan(Recipe(), 5000).validate_every == 1000
    assert Plan(Recipe(validate_every=7), 5000).validate_every == 7
    assert not math.isinf(plan.fraction(0, 0))
