"""What is said of gradients and trainings follows their numbers, whatever these are."""

from dataclasses import dataclass

import pytest

from glasscell.errors import InputError
from glasscell.explaining import Explanation, Prose, Table
from glasscell.stories.vanishing import Budget, Trial, vanishing
from glasscell.stories.vanishing.telling import does_it_explain, what_is_learned
from glasscell.stories.vanishing.trials import NETWORKS, TASKS
from glasscell.stories.vanishing.verdicts import what_arrives
from glasscell.training.generated import GeneratedRecipe, GeneratedRun, Measured

TWO = Budget(lengths=(20, 30), seeds=(0, 1))


def made(budget, solved, before=0.5, after=0.5):
    """Trials of a budget that solved their task where `solved` says so."""

    def run(task, network, T, seed):
        reached = solved(task, network, T, seed)
        score = {"temporal_order": (0.712, 1.0), "adding": (0.0375, 0.0019)}[task][reached]
        return GeneratedRun(GeneratedRecipe(), (Measured(100, 0.1, score),), reached, 1.0, 1.0)

    return [
        Trial(task, name, T, seed, run(task, name, T, seed), before, after)
        for task in TASKS
        for T in budget.lengths
        for name in NETWORKS
        for seed in budget.seeds
    ]


def told(found, budget):
    story = Explanation("", what_is_learned(found, budget))
    text = " ".join(p.text for p in story.pieces if isinstance(p, Prose))
    tables = [p.rows for p in story.pieces if isinstance(p, Table)]
    return text, tables


def test_a_network_that_solves_it_from_one_of_two_seeds_is_said_to():
    found = made(TWO, lambda task, network, T, seed: T == 20 and seed == 0)
    text, (order, adding) = told(found, TWO)
    assert "RNN solves it at T = 20 in 1 of 2 trainings." in text
    assert "no length" not in text
    assert list(order[0]) == ["RNN", "0.856, solved in 1 of 2, after 100", "0.712"]
    assert adding[0][1] == "0.01970, solved in 1 of 2, after 100"


def test_bold_is_what_every_training_solved():
    def solved(task, network, T, seed):
        return network == "RNN" or (network == "LSTM, chrono" and (T == 20 or seed == 1))

    text, (order, _) = told(made(TWO, solved), TWO)
    assert "RNN solves it at every length in all 2 trainings." in text
    assert "LSTM, forget bias 0 solves it at no length." in text
    assert (
        "LSTM, chrono solves it at T = 20 in all 2 trainings, at T = 30 in 1 of 2 trainings."
    ) in text
    assert list(order[0][1:]) == ["**1**, solved in 2 of 2, after 100"] * 2
    assert not any(cell.startswith("**") for cell in order[1][1:])
    assert [cell.startswith("**") for cell in order[3][1:]] == [True, False]


def test_one_training_or_one_length_needs_fewer_words():
    one = Budget(lengths=(20, 30))
    text, (order, _) = told(made(one, lambda task, network, T, seed: T == 20), one)
    assert "RNN solves it at T = 20. LSTM" in text
    assert list(order[0][1:]) == ["**1** after 100", "0.712"]
    single = Budget(lengths=(40,), seeds=(0, 1))
    text, _ = told(made(single, lambda task, network, T, seed: network == "RNN"), single)
    assert (
        "RNN solves it at T = 40 in all 2 trainings. LSTM, forget bias 0 does not solve it." in text
    )


@dataclass
class Flow:
    verdict: str


def test_every_verdict_is_told():
    flows = {"a": Flow("exploding"), "b": Flow("vanishing"), "c": Flow("exploding")}
    says = what_arrives(flows, 60)  # type: ignore[arg-type]
    assert (
        "over 60 steps: it vanishes in “b”; it is carried in none; it explodes in “a”, “c”." in says
    )
    carried = {"a": Flow("carried")}
    assert what_arrives(carried, 60).endswith("steps: it is carried in “a”.")  # type: ignore[arg-type]


def says(found):
    return " ".join(p.text for p in does_it_explain(found) if isinstance(p, Prose))


def test_what_arrives_tells_what_is_learned_only_if_it_tells_two_groups_apart():
    everything = made(TWO, lambda *of: True)
    assert "told exactly" not in says(everything)
    assert "In all trainings 1 % of the gradient or more" in says(everything)
    assert "0 of 0" not in says(everything)
    nothing = made(TWO, lambda *of: False, before=0.001)
    assert "In all trainings less than 1 % of the gradient" in says(nothing)
    assert "told exactly" in says([*everything, *nothing])
    some = made(TWO, lambda task, network, T, seed: seed == 0, before=0.001, after=0.002)
    assert "What arrives at the start is not everything" in says(some)
    assert "opened the way" not in says(some)
    assert "told exactly" not in says([*everything, *some])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lengths": ()}, r"lengths: expected one or more, all different, got \(\)"),
        ({"seeds": ()}, r"seeds: expected one or more, all different, got \(\)"),
        ({"seeds": (1, 1)}, r"seeds: expected one or more, all different, got \(1, 1\)"),
        ({"lengths": (50, 19)}, r"lengths: expected at least 20 steps, got \(50, 19\)"),
        ({"steps": 0}, "steps: expected at least 1, got 0"),
        ({"hidden": 0}, "hidden: expected at least 1, got 0"),
        ({"batch": 0}, "batch: expected at least 1, got 0"),
        ({"learning_rate": float("nan")}, "learning_rate: expected more than 0, got nan"),
    ],
)
def test_budgets_that_cannot_be(wrong, message):
    with pytest.raises(InputError, match=message):
        Budget(**wrong)


def test_the_longest_need_not_come_last():
    story = vanishing(Budget(lengths=(30, 20), steps=1, hidden=2, batch=2))
    text = " ".join(p.text for p in story.pieces if isinstance(p, Prose))
    assert "over 30 steps of the adding problem" in text
    assert "What becomes of the gradient over 30 steps" in text
