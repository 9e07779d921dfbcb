"""The networks of the story, and how well each of them counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell import analysis
from glasscell.tasks.classic import (
    SequenceModel,
    Turnstile,
    counting_turnstile,
)
from glasscell.tasks.classic.turnstile import COINS, PRICE
from glasscell.tasks.forget_gates import start_forget_gate
from glasscell.tracing import LayerTrace, trace
from glasscell.training.generated import GeneratedRecipe, GeneratedRun, score, train_generated

BY_HAND = "set by hand"
LEARNED = {"tanh RNN": "rnn", "ReLU RNN": "relu_rnn", "LSTM": "lstm"}
LENGTHS = (20, 100, 400, 1000)  # steps: the first is what training saw
SEQUENCES = 300  # of each length
MEASURED_SEED = 9  # of the sequences that everything is measured on


@dataclass(frozen=True, eq=False)
class Counter:
    """A network, and what was measured of it.

    Attributes:
        name: of the network.
        model: in evaluation mode.
        run: of its training; None where weights were set by hand.
        lengths: of the sequences tried, in steps; the first is what training saw.
        right: for each of them, the share of steps told right.
        coins: for each kind of coin, the unit that follows its number best, and the correlation.
        kind: where one coin has come, at the steps after it: the AUC of its kind along one
            direction of the hidden state (0.5 is chance).
        total: R^2 of the number of all coins, read along one direction of the hidden state.
        to_price, beyond: the same, where no more than two coins have come, and where two or more
            have.
        reading: (most + 1,) what that direction, fitted up to the price, reads on average after
            0, 1, 2, ... coins.
        with_coins: the share of steps told right in the longest sequences where no coin has come
            so far, where one has, and where two or more have.
        overflowed: at these same steps, the share where the answer is not a number.
        drift: how far the hidden state moves while no coin comes at all, from the end of the
            length trained on to the end of the longest (Euclidean); infinite where it leaves the
            numbers that float32 has.
    """

    name: str
    model: SequenceModel
    run: GeneratedRun | None
    lengths: tuple[int, ...]
    right: tuple[float, ...]
    coins: tuple[tuple[int, float], ...]
    kind: float
    total: float
    to_price: float
    beyond: float
    reading: Tensor
    with_coins: tuple[float, ...]
    overflowed: tuple[float, ...]
    drift: float


def counters(
    seed: int = 0, hidden: int = 8, steps: int = 3000, lengths: Sequence[int] = LENGTHS
) -> list[Counter]:
    """The network set by hand, and those that learn, all measured on the same sequences.

    Args:
        seed: of weights and sequences.
        hidden: units of those that learn.
        steps: the most updates; training ends once 99.9 % of steps are told right.
        lengths: of the sequences to try, in steps; the first is trained on.
    """
    task = Turnstile(lengths[0])
    found = [_measured(BY_HAND, counting_turnstile(), None, lengths)]
    for name, cell in LEARNED.items():
        torch.manual_seed(seed)
        model = SequenceModel(task, cell, hidden)
        if cell == "lstm":
            start_forget_gate(model.rnn, 1.0)
        recipe = GeneratedRecipe(steps, learning_rate=1e-2, target=0.999, seed=seed)
        run = train_generated(model, task, recipe)
        found.append(_measured(name, model, run, lengths))
    return found


def _measured(
    name: str, model: SequenceModel, run: GeneratedRun | None, lengths: Sequence[int]
) -> Counter:
    model.requires_grad_(False)
    right = []
    for T in lengths:
        task = Turnstile(T)
        right.append(score(model, task, task.batch(SEQUENCES, _generator())))
    batch = Turnstile(lengths[0]).batch(500, _generator())
    with trace(model) as seen:
        model(batch.inputs)
    layer = seen["rnn.l0"]
    each = batch.inputs.cumsum(0)  # (T, B, 2) coins so far, kind by kind
    n = each.sum(-1)
    coins = []
    for kind in range(len(COINS)):
        best = analysis.find_units(layer, each[..., kind], "hidden", chance=None, folds=None)
        coins.append((best.best(1)[0].unit, best.best(1)[0].score))
    probes = {}
    for part, mask in {"all": None, "to": n <= PRICE, "beyond": n >= PRICE}.items():
        told = analysis.find_units(layer, n, "hidden", mask=mask, measure="pearson", chance=None)
        assert told.probe is not None
        probes[part] = told.probe
    read = probes["to"](layer["hidden"])  # (T, B)
    most = int(n.max())
    with_coins, overflowed = _with_coins(model, lengths[-1])
    return Counter(
        name=name,
        model=model,
        run=run,
        lengths=tuple(lengths),
        right=tuple(right),
        coins=tuple(coins),
        kind=_kind(layer, each),
        total=probes["all"].score,
        to_price=probes["to"].score,
        beyond=probes["beyond"].score,
        reading=torch.stack([read[n == k].mean() for k in range(most + 1)]),
        with_coins=with_coins,
        overflowed=overflowed,
        drift=_drift(model, lengths[0], lengths[-1]),
    )


def _kind(layer: LayerTrace, coins: Tensor) -> float:
    """How well the hidden state tells which kind came.

    Args:
        coins: (T, B, 2) so far, kind by kind.
    """
    is_alone = coins.sum(-1) == 1
    later = is_alone & (is_alone.cumsum(0) > 1)  # not while the coin itself is read
    found = analysis.find_units(layer, coins[..., 0] == 1, "hidden", mask=later, chance=None)
    return float("nan") if found.probe is None else found.probe.score


def _with_coins(model: SequenceModel, T: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The share of steps told right, and of those without an answer, by the coins so far."""
    task = Turnstile(T)
    batch = task.batch(SEQUENCES, _generator())
    n = batch.inputs.sum(-1).cumsum(0)  # (T, B)
    with torch.no_grad():
        answers = model(batch.inputs)
    right, lost = task.right(answers, batch), answers.squeeze(-1).isnan()
    groups = [n == k for k in range(PRICE)] + [n >= PRICE]

    def shares(steps: Tensor) -> tuple[float, ...]:
        return tuple(float(steps[group].double().mean()) for group in groups)

    return shares(right), shares(lost)


def _drift(model: SequenceModel, seen: int, T: int) -> float:
    with torch.no_grad():
        h, _ = model.rnn(torch.zeros(T, 1, len(COINS)))
    moved = float((h[-1].double() - h[seen - 1]).norm())
    return moved if math.isfinite(moved) else math.inf


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(MEASURED_SEED)
