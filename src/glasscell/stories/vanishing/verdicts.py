"""The sentences that judge: each is chosen by what was measured, and holds its numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glasscell.analysis import GradientFlow
from glasscell.explaining import number
from glasscell.stories.vanishing.trials import NETWORKS, Budget, Trial, of

ARRIVES = 0.01  # the part of a gradient from which on it counts as arriving
TITLES = {"temporal_order": "Temporal order", "adding": "The adding problem"}
SAYS = {
    "vanishing": "it vanishes in",
    "carried": "it is carried in",
    "exploding": "it explodes in",
}


def what_arrives(flows: Mapping[str, GradientFlow], T: int) -> str:
    """In which networks the gradient vanishes, is carried, or explodes."""
    parts = []
    for verdict, says in SAYS.items():
        names = [f"“{name}”" for name, flow in flows.items() if flow.verdict == verdict]
        if names or verdict == "carried":
            parts.append(f"{says} {', '.join(names) or 'none'}")
    return f"What becomes of the gradient over {T} steps: {'; '.join(parts)}."


def who_solves(found: Sequence[Trial], task: str, budget: Budget) -> str:
    """At which lengths each network solves a task, and in how many of its trainings."""
    return "Within this budget: " + " ".join(_solves(found, task, n, budget) for n in NETWORKS)


def _solves(found: Sequence[Trial], task: str, network: str, budget: Budget) -> str:
    seeds = len(budget.seeds)
    solved = {
        T: sum(t.solved for t in of(found, task=task, network=network, T=T)) for T in budget.lengths
    }
    if not any(solved.values()):
        return f"{network} {'solves it at no length' if len(solved) > 1 else 'does not solve it'}."
    if len(solved) > 1 and min(solved.values()) == seeds:
        return f"{network} solves it at every length{_in(seeds, seeds)}."
    places = [f"T = {T}{_in(count, seeds)}" for T, count in solved.items() if count]
    return f"{network} solves it at {', at '.join(places)}."


def _in(solved: int, seeds: int) -> str:
    if seeds == 1:
        return ""
    return f" in all {seeds} trainings" if solved == seeds else f" in {solved} of {seeds} trainings"


def does_it_explain(found: Sequence[Trial]) -> str:
    """Whether what arrived before training tells what was learned."""
    arrived = [t for t in found if t.before >= ARRIVES]
    others = [t for t in found if t.before < ARRIVES]

    def share(trials: Sequence[Trial]) -> str:
        return f"{sum(t.solved for t in trials)} of {len(trials)}"

    if not arrived or not others:
        which = "1 % of the gradient or more" if arrived else "less than 1 % of the gradient"
        return (
            f"In all trainings {which} arrived at the first step before training; {share(found)} "
            f"solved their task within the budget. {_exception(others)}".strip()
        )
    says = (
        f"Of the trainings in which 1 % of the gradient or more arrived at the first step before "
        f"training, {share(arrived)} solved their task within the budget; of the others "
        f"{share(others)}. "
    )
    if exception := _exception(others):
        return says + exception
    if all(t.solved for t in arrived):
        says += "In this run, what arrived before training told exactly what would be learned."
    return says.strip()


def _exception(others: Sequence[Trial]) -> str:
    """What was learned though the least arrived, if anything was."""
    solved = [t for t in others if t.solved]
    if not solved:
        return ""
    t = min(solved, key=lambda each: each.before)
    opened = ", so training itself opened the way." if t.after >= ARRIVES else "."
    return (
        f"What arrives at the start is not everything: “{t.network}” solved "
        f"{TITLES[t.task].lower()} with T = {t.T} from {number(t.before, 2)}; at the end "
        f"{number(t.after, 2)} arrived{opened}"
    )
