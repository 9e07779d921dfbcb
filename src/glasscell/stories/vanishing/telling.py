"""The story's parts as prose, tables and figures: every number is from the run, and chooses what
is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

from glasscell import plots
from glasscell.analysis import GradientFlow
from glasscell.explaining import Code, Equation, Heading, Items, Piece, Prose, Table, number
from glasscell.stories.drawing import figure
from glasscell.stories.vanishing.trials import NETWORKS, SOLVED, TASKS, Budget, Trial, of

ARRIVES = 0.01  # the part of a gradient from which on it counts as arriving
TITLES = {"temporal_order": "Temporal order", "adding": "The adding problem"}


def the_question(budget: Budget) -> list[Piece]:
    return [
        Prose(
            "Two tasks of Hochreiter and Schmidhuber (1997), who made them to be impossible "
            "without a long memory. The answer comes at the end of T steps and depends on two "
            "steps long before; everything else is there to distract."
        ),
        Items(
            [
                "**Temporal order**: among random letters there are two that count, each X or Y, "
                "about T/10 and T/2 steps from the start. Which were they, and in which order? "
                "Four answers; guessing gets 0.25 right.",
                "**Adding**: among random numbers two are marked, both in the first half. What is "
                "0.5 + a quarter of their sum? Always saying 0.5 has a mean squared error of "
                f"{TASKS['adding'](budget.lengths[-1]).chance:.4f}.",
            ]
        ),
        Prose(
            "Four networks try: a simple RNN, and the LSTM with its forget gate's bias at 0, at 1, "
            "and by **chrono initialisation** (Tallec and Ollivier 2018), which draws each unit's "
            "bias so that memories begin with all lengths from 1 to T. (It is told T; the others "
            "are told nothing.)"
        ),
    ]


def what_arrives(flows: Mapping[str, GradientFlow], T: int) -> list[Piece]:
    """The gradient before any training."""
    rows = [
        [name, number(flow.rate, 3), flow.reach, number(float(flow.relative[-1]), 2), flow.verdict]
        for name, flow in flows.items()
    ]
    carried = [name for name, flow in flows.items() if flow.verdict == "carried"]
    gone = [name for name, flow in flows.items() if flow.verdict == "vanishing"]
    says = f"Over {T} steps the gradient vanishes in: {'; '.join(gone)}. " if gone else ""
    says += f"It is carried in: {'; '.join(carried)}." if carried else "It is carried in none."
    return [
        Heading("What arrives"),
        Prose(
            "To learn, the beginning must hear of the error at the end. A simple RNN passes a "
            "gradient back through its weights and slopes at every step. An LSTM has a second way, "
            "along its cell state, where it is only multiplied by the forget gate:"
        ),
        Equation(
            r"\frac{\partial L}{\partial c_t} = f_{t+1} \odot \frac{\partial L}{\partial c_{t+1}} "
            r"+ \ldots",
            "the constant error carousel",
        ),
        Prose(
            "So much depends on where the forget gate begins. Here is what arrives, "
            f"before any training, over {T} steps of the adding problem."
        ),
        Table(
            ["network", "times, each step back", "steps with 1 % or more",
             "part at the first step", "verdict"],
            rows,
            align="lrrrl",
        ),
        figure(
            plots.gradient_flow,
            flows,
            caption="Which part of the gradient arrives so many steps back, before training. "
            "Dashed: along the cell state alone.",
            alt="Lines that fall with the distance; at the first step: "
            + ", ".join(f"{n} {float(f.relative[-1]):.1e}" for n, f in flows.items()),
        ),
        Prose(says),
    ]  # fmt: skip


def what_is_learned(found: Sequence[Trial], budget: Budget) -> list[Piece]:
    """Scores of all networks on both tasks, side by side."""
    pieces: list[Piece] = [Heading("What is learned")]
    seeds = len(budget.seeds)
    pieces.append(
        Prose(
            f"Now each is trained: {budget.hidden} units, Adam with a learning rate of "
            f"{number(budget.learning_rate)}, gradients clipped to a norm of 1, at most "
            f"{budget.steps:,} updates of {budget.batch} new sequences. Training stops when the "
            "task is solved. "
            + (
                f"One training each, from seed {budget.seeds[0]}: a single run says what can "
                "happen, not how often."
                if seeds == 1
                else f"{seeds} trainings each, from seeds {', '.join(map(str, budget.seeds))}; "
                "the median is shown."
            )
        )
    )
    for task, kind in TASKS.items():
        lower = kind(budget.lengths[0]).goal == "lower"
        scores = {n: [_score(of(found, task=task, network=n, T=T)) for T in budget.lengths]
                  for n in NETWORKS}  # fmt: skip
        rows = [
            [
                name,
                *(_cell(of(found, task=task, network=name, T=T), budget) for T in budget.lengths),
            ]
            for name in NETWORKS
        ]
        sign = "at most" if lower else "at least"
        measure = "mean squared error" if lower else "share right"
        pieces += [
            Heading(TITLES[task], level=3),
            Table(
                ["network", *(f"T = {T}" for T in budget.lengths)],
                rows,
                align="l" + "r" * len(budget.lengths),
                caption=f"{measure.capitalize()} on 500 new sequences, and after how many updates "
                f"it was solved ({sign} {SOLVED[task]}).",
            ),
            figure(
                plots.courses,
                scores,
                list(budget.lengths),
                across="T, steps (log scale)",
                up=measure,
                level=(kind(budget.lengths[-1]).chance, "chance"),
                logarithmic=True,
                caption=f"{TITLES[task]}: {measure} over T.",
                alt=f"Lines over T; at {budget.lengths[-1]}: "
                + ", ".join(f"{n} {values[-1]:.3g}" for n, values in scores.items()),
            ),
            Prose(_solvers(found, task, budget)),
        ]
    return pieces


def does_it_explain(found: Sequence[Trial]) -> list[Piece]:
    """Whether what arrived before training tells what was learned."""
    arrived = [t for t in found if t.before >= ARRIVES]
    others = [t for t in found if t.before < ARRIVES]

    def share(trials: Sequence[Trial]) -> str:
        return f"{sum(t.solved for t in trials)} of {len(trials)}"

    says = (
        f"Of the trainings in which 1 % of the gradient or more arrived at the first step before "
        f"training, {share(arrived)} solved their task within the budget; of the others "
        f"{share(others)}. "
    )
    exceptions = [t for t in others if t.solved]
    if exceptions:
        t = min(exceptions, key=lambda each: each.before)
        says += (
            f"What arrives at the start is not everything: “{t.network}” solved "
            f"{TITLES[t.task].lower()} with T = {t.T} from {number(t.before, 2)}; at the end "
            f"{number(t.after, 2)} arrived"
            + (", so training itself opened the way." if t.after >= ARRIVES else ".")
        )
    elif arrived and all(t.solved for t in arrived):
        says += "In this run, what arrived before training told exactly what would be learned."
    return [Heading("Does one explain the other?"), Prose(says)]


def the_bill(found: Sequence[Trial], budget: Budget) -> list[Piece]:
    updates = sum(t.run.steps for t in found)
    seconds = sum(t.run.cpu_seconds for t in found)
    return [
        Heading("What it took"),
        Prose(
            f"{len(found)} trainings, {updates:,} updates, {seconds:,.0f} seconds of "
            "processor time. A network that did not solve a task here may do so with more updates, "
            "other learning rates or other seeds. To try:"
        ),
        Code(
            "from glasscell.stories.vanishing import Budget, vanishing\n\n"
            "print(vanishing(Budget(lengths=(100,), steps=20_000, seeds=(0, 1, 2))))"
        ),
    ]


def _score(trials: Sequence[Trial]) -> float:
    return median(t.run.score for t in trials)


def _cell(trials: Sequence[Trial], budget: Budget) -> str:
    score = (
        f"{_score(trials):.3g}" if trials[0].task == "temporal_order" else f"{_score(trials):.4f}"
    )
    solved = [t.run.steps for t in trials if t.solved]
    if not solved:
        return score
    if len(trials) == 1:
        return f"**{score}** after {solved[0]:,}"
    return f"**{score}**, {len(solved)} of {len(trials)}, after {median(solved):,.0f}"


def _solvers(found: Sequence[Trial], task: str, budget: Budget) -> str:
    says = []
    for name in NETWORKS:
        lengths = [
            T
            for T in budget.lengths
            if all(t.solved for t in of(found, task=task, network=name, T=T))
        ]
        if len(lengths) == len(budget.lengths):
            says.append(f"{name} solves it at every length.")
        elif lengths:
            says.append(f"{name} solves it at T = {', '.join(map(str, lengths))}.")
        else:
            says.append(f"{name} solves it at no length.")
    return "Within this budget: " + " ".join(says)
