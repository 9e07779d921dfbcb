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
from glasscell.stories.vanishing import verdicts
from glasscell.stories.vanishing.trials import NETWORKS, SOLVED, TASKS, Budget, Trial, of
from glasscell.stories.vanishing.verdicts import TITLES


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
                f"{TASKS['adding'](budget.longest).chance:.4f} at T = {budget.longest}.",
            ]
        ),
        Prose(
            "Four networks try: a simple RNN, and the LSTM with its forget gate's bias at 0, at 1, "
            "and by **chrono initialisation** (Tallec and Ollivier 2018), which draws each unit's "
            "bias so that memories begin with all lengths from 1 to T. (It is told T; the others "
            "are told nothing.)"
        ),
    ]


def what_arrives(flows: Mapping[str, GradientFlow], budget: Budget) -> list[Piece]:
    """The gradient before any training, over the longest sequences and from the first seed."""
    T = budget.longest
    rows = [
        [name, number(flow.rate, 3), flow.reach, number(float(flow.relative[-1]), 2), flow.verdict]
        for name, flow in flows.items()
    ]
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
            f"before any training (seed {budget.seeds[0]}), over {T} steps of the adding problem."
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
        Prose(verdicts.what_arrives(flows, T)),
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
                "the median score is shown, in bold where all of them solved the task."
            )
        )
    )
    for task, kind in TASKS.items():
        lower = kind.goal == "lower"
        chances = {kind(T).chance for T in budget.lengths}
        scores = {n: [_score(of(found, task=task, network=n, T=T)) for T in budget.lengths]
                  for n in NETWORKS}  # fmt: skip
        rows = [
            [
                name,
                *(_cell(of(found, task=task, network=name, T=T)) for T in budget.lengths),
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
                f"it was solved ({sign} {SOLVED[task]})"
                + ("." if seeds == 1 else ": the median of those trainings that solved it."),
            ),
            figure(
                plots.courses,
                scores,
                list(budget.lengths),
                across="T, steps (log scale)",
                up=measure,
                level=(
                    kind(budget.longest).chance,
                    "chance" if len(chances) == 1 else f"chance at T = {budget.longest}",
                ),
                logarithmic=True,
                caption=f"{TITLES[task]}: {measure} over T.",
                alt=f"Lines over T; at {budget.lengths[-1]}: "
                + ", ".join(f"{n} {values[-1]:.3g}" for n, values in scores.items()),
            ),
            Prose(verdicts.who_solves(found, task, budget)),
        ]
    return pieces


def does_it_explain(found: Sequence[Trial]) -> list[Piece]:
    """Whether what arrived before training tells what was learned."""
    return [Heading("Does one explain the other?"), Prose(verdicts.does_it_explain(found))]


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


def _cell(trials: Sequence[Trial]) -> str:
    """The median score, in bold if every training solved it, and how many did after how long."""
    digits = ".3g" if trials[0].task == "temporal_order" else ".5f"
    score = f"{_score(trials):{digits}}"
    solved = [t.run.steps for t in trials if t.solved]
    if len(solved) == len(trials):
        score = f"**{score}**"
    if not solved:
        return score
    after = f"after {median(solved):,.0f}"
    if len(trials) == 1:
        return f"{score} {after}"
    return f"{score}, solved in {len(solved)} of {len(trials)}, {after}"
