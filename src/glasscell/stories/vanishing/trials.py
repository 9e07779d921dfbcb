"""The trials of the story: each network on each task and length, from each seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch

from glasscell import analysis
from glasscell.analysis import GradientFlow
from glasscell.errors import InputError
from glasscell.nn import LSTM
from glasscell.tasks.classic import (
    Adding,
    SequenceModel,
    TemporalOrder,
)
from glasscell.tasks.forget_gates import start_chrono, start_forget_gate
from glasscell.training.generated import GeneratedRecipe, GeneratedRun, train_generated

# When a task counts as solved.
SOLVED = {"temporal_order": 0.99, "adding": 0.002}
TASKS = {"temporal_order": TemporalOrder, "adding": Adding}
FLOW_SEQUENCES = 8  # that gradients are followed through
SHORTEST = 20  # steps, that both tasks can have


@dataclass(frozen=True)
class Start:
    """A network and how it begins.

    Attributes:
        cell: "rnn" or "lstm".
        biases: sets an LSTM's gate biases, given T and a generator; None for an RNN.
    """

    cell: str
    biases: Callable[[LSTM, int, torch.Generator], None] | None = None


NETWORKS = {
    "RNN": Start("rnn"),
    "LSTM, forget bias 0": Start("lstm", lambda layer, T, g: start_forget_gate(layer, 0.0)),
    "LSTM, forget bias 1": Start("lstm", lambda layer, T, g: start_forget_gate(layer, 1.0)),
    "LSTM, chrono": Start("lstm", start_chrono),
}


@dataclass(frozen=True)
class Budget:
    """How much is tried.

    Attributes:
        lengths: T of the tasks.
        steps: the most updates of each training.
        hidden: units.
        batch: sequences an update.
        learning_rate: Adam's.
        seeds: of weights and sequences; each is a training of its own.

    Raises:
        InputError: no length or no seed, one given twice, or a number that is too small.
    """

    lengths: tuple[int, ...] = (50, 100, 200, 400)
    steps: int = 1500
    hidden: int = 32
    batch: int = 32
    learning_rate: float = 5e-3
    seeds: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for name in ("lengths", "seeds"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise InputError(f"{name}: expected one or more, all different, got {given}")
        if min(self.lengths) < SHORTEST:
            raise InputError(f"lengths: expected at least {SHORTEST} steps, got {self.lengths}")
        for name in ("steps", "hidden", "batch"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if not self.learning_rate > 0:
            raise InputError(f"learning_rate: expected more than 0, got {self.learning_rate}")

    @property
    def longest(self) -> int:
        """The greatest T."""
        return max(self.lengths)


QUICK = Budget(lengths=(20, 60), steps=250, hidden=16)


@dataclass(frozen=True)
class Trial:
    """One training, and the gradient before and after it.

    Attributes:
        task, network, T, seed: what was trained on what, how long, from which seed.
        run: how it went.
        before, after: which part of the gradient on the last state arrives at the first step.
    """

    task: str
    network: str
    T: int
    seed: int
    run: GeneratedRun
    before: float
    after: float

    @property
    def solved(self) -> bool:
        return self.run.reached


def trials(budget: Budget, say: Callable[[str], None] = lambda text: None) -> list[Trial]:
    """All trainings of a budget.

    Args:
        budget: how much is tried.
        say: told before each training which one it is.
    """
    plan = list(product(TASKS, budget.lengths, NETWORKS, budget.seeds))
    found = []
    for k, (task, T, network, seed) in enumerate(plan, 1):
        say(f"{k} of {len(plan)}: {network}, {task.replace('_', ' ')}, T = {T}")
        found.append(trial(task, network, T, seed, budget))
    return found


def trial(task_name: str, network: str, T: int, seed: int, budget: Budget) -> Trial:
    """One training, and the gradient before and after it."""
    task = TASKS[task_name](T)
    model = network_of(network, task, T, budget.hidden, seed)
    before = _arrives(model, task)
    recipe = GeneratedRecipe(
        steps=budget.steps,
        batch=budget.batch,
        learning_rate=budget.learning_rate,
        target=SOLVED[task_name],
        every=min(100, budget.steps),
        seed=seed,
    )
    run = train_generated(model, task, recipe)
    return Trial(task_name, network, T, seed, run, before, _arrives(model, task))


def network_of(
    network: str, task: Adding | TemporalOrder, T: int, hidden: int, seed: int
) -> SequenceModel:
    """A network of the table, as it begins."""
    torch.manual_seed(seed)
    start = NETWORKS[network]
    model = SequenceModel(task, start.cell, hidden)
    if start.biases is not None:
        start.biases(model.rnn, T, torch.Generator().manual_seed(seed))
    return model


def flows(T: int, hidden: int, seed: int) -> dict[str, GradientFlow]:
    """The gradient through each network before any training, on sequences of the adding problem."""
    task = Adding(T)
    x = task.batch(FLOW_SEQUENCES, _generator()).inputs
    layers = {name: network_of(name, task, T, hidden, seed).rnn for name in NETWORKS}
    return analysis.compare_gradient_flow(layers, x)


def _arrives(model: SequenceModel, task: Adding | TemporalOrder) -> float:
    flow = analysis.gradient_flow(model.rnn, task.batch(FLOW_SEQUENCES, _generator()).inputs)
    return float(flow.relative[-1])


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def of(found: Sequence[Trial], **wanted: object) -> list[Trial]:
    """The trials with these attributes."""
    return [t for t in found if all(getattr(t, key) == value for key, value in wanted.items())]
