"""A comparison as a document: what was found in words, tables and figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from glasscell.comparing.questions import BASE
from glasscell.comparing.report.figures import cost_figure, score_figures
from glasscell.comparing.report.numerals import chosen, count, memory, p_value
from glasscell.comparing.times_in_words import in_words
from glasscell.explaining import Explanation, Heading, Items, Prose, Table
from glasscell.explaining.pieces import Piece, literal

if TYPE_CHECKING:
    from glasscell.comparing.comparison import CellResult, Comparison


def explanation(found: Comparison, *, figures: bool = True) -> Explanation:
    """The comparison as a document.

    Args:
        figures: whether with figures, which need plotly.
    """
    pieces: list[Piece] = [
        Prose(_headline(found)),
        *([Items([literal(each) for each in found.remarks])] if found.remarks else []),
        Heading("What this data needs"),
        Items([_bold_beginning(words) for words in found.words])
        if found.findings
        else Prose("Only one cell was trained, so there is nothing to compare it with."),
        Heading("Scores"),
        _scores(found),
    ]
    if figures:
        pieces += score_figures(found)
    pieces += (
        [Heading("Differences from seed to seed"), _differences(found)] if (found.findings) else []
    )
    pieces += [Prose(_how_judged(found))] if found.findings else []
    pieces += [Heading("Speed, size and memory"), _costs(found), Prose(_about_costs(found))]
    if figures:
        pieces.append(cost_figure(found))
    troubles = [
        f"{literal(run.cell)}, seed {run.seed}: {run.status}: {literal(run.why)}"
        for cell in found.cells
        for run in cell.runs
        if run.status != "done"
    ]
    if troubles:
        pieces += [Heading("What did not end well"), Items(troubles)]
    pieces += [Heading("How it was made"), Items([literal(_sentence(f)) for f in found.facts])]
    return Explanation(f"Which cell this data needs: {literal(found.title)}", pieces)


def _headline(found: Comparison) -> str:
    measure = found.measure
    done = [cell for cell in found.cells if cell.score.n]
    better = "less" if measure.lower_is_better else "more"
    seeds = max(len(cell.runs) for cell in found.cells)
    trainings = sum(len(cell.runs) for cell in found.cells)
    cells = "1 cell" if len(found.cells) == 1 else (
        f"{len(found.cells)} cells with nearly the same number of parameters"
    )  # fmt: skip
    text = (
        f"{cells}, from "
        f"{seeds} seed{'s' if seeds != 1 else ''}: {trainings} trainings, "
        f"{in_words(found.work)} of work in all of them together. The score is {measure.name}; "
        f"{better} is better. "
    )
    if not done:
        return text + "No training was done to its end."
    pick = min if measure.lower_is_better else max
    best = measure.told(pick(cell.score.mean for cell in done))
    names = [f"**{literal(c.cell)}**" for c in done if measure.told(c.score.mean) == best]
    text += f"The best mean is that of {' and '.join(names)}, {best}"
    levels = [f"{name}: {measure.told(value)}" for name, value in measure.levels]
    return text + (f" ({'; '.join(levels)})." if levels else ".")


def _bold_beginning(words: str) -> str:
    part, _, rest = words.partition(": ")
    return f"**{literal(part)}**: {literal(rest)}"


def _scores(found: Comparison) -> Table:
    measure = found.measure
    rows = []
    for cell in found.cells:
        score = cell.score
        spread = "" if score.n < 2 else f"{measure.told(score.low)} to {measure.told(score.high)}"
        rows.append(
            [
                literal(cell.cell),
                measure.told(score.mean) if score.n else "none",
                spread,
                ", ".join(
                    measure.told(run.score) if run.score is not None else run.status
                    for run in cell.runs
                ),
            ]
        )
    methods = {"t": "Student's t", "bootstrap": "the BCa bootstrap"}
    used = sorted({methods[cell.score.method] for cell in found.cells if cell.score.n > 1})
    return Table(
        ["cell", "mean", f"{found.confidence:.0%} interval", "seed by seed"],
        rows,
        align="lrrl",
        caption=f"{measure.name[0].upper()}{measure.name[1:]} on the test part; intervals of the "
        f"mean over seeds{', by ' if used else ''}{' and '.join(used)}.",
    )


def _differences(found: Comparison) -> Table:
    measure = found.measure
    rows = []
    for finding in found.findings:
        difference = finding.difference
        together = difference.together
        rows.append(
            [
                f"{literal(finding.cell)} − {literal(finding.against)}",
                measure.told(difference.mean, sign=True) if difference.n else "",
                f"{measure.told(together.low, sign=True)} to "
                f"{measure.told(together.high, sign=True)}" if difference.n > 1 else "",
                p_value(difference.p_adjusted),
                f"{p_value(difference.p_sign_flips)} ({p_value(difference.p_smallest)})"
                if difference.n else "",
                finding.verdict.value,
            ]
        )  # fmt: skip
    return Table(
        ["cells", "difference", "interval", "p", "p, sign flips", "verdict"],
        rows,
        align="lrrrrl",
        caption="Score of the first less that of the second, averaged over seeds: "
        f"{'below' if measure.lower_is_better else 'above'} 0 the first is better. (In the "
        "sentences above a positive number speaks for the part in question.) The interval "
        f"holds for all rows at once, with {found.confidence:.0%}. p: paired t test, "
        "Holm's correction. Sign flips: the exact test for this row alone, and the least it can "
        "come to with so many seeds. The verdict is about the part that the cells differ in.",
    )


def _how_judged(found: Comparison) -> str:
    alpha = 1 - found.confidence
    return (
        f"**Helps** or **hurts**: Holm's p is at most {alpha:.2g}. **No difference**: the whole "
        f"interval lies within ±{found.measure.told(found.margin)} {found.measure.name}, the "
        "largest difference that is taken not to matter. **Cannot tell**: neither. **Unstable**: "
        "a training of the two diverged. **Too few seeds**: fewer than 3 pairs."
    )


def _costs(found: Comparison) -> Table:
    choices = chosen(found.cells)
    rows = [
        [
            literal(cell.cell),
            f"{cell.hidden:,}",
            f"{cell.parameters:,}",
            _off(cell, found.cells[0]),
            count(cell.updates),
            count(cell.training_speed),
            count(cell.inference_speed),
            memory(cell),
            *(told(cell) for _, told in choices),
        ]
        for cell in found.cells
    ]
    return Table(
        ["cell", "units", "parameters", "off", "updates", "tokens/s, training",
         "tokens/s, reading", "memory, steps", *(name for name, _ in choices)],
        rows,
        align="lrrrrrrr" + "r" * len(choices),
    )  # fmt: skip


def _about_costs(found: Comparison) -> str:
    return (
        "The hidden size of each cell is the one at which the whole model comes closest to the "
        f"number of parameters of the {BASE}'s; “off” is what is left. Speeds are those of one "
        "thread, by processor time. Memory is how many steps half of the units keep their state at "
        "most, and nine in ten, by what multiplies it alone: what comes back through the hidden "
        "state may be remembered for longer; ∞ where nothing is forgotten, as without "
        "a forget gate, and nothing of a cell that writes its state anew at each step."
    )


def _off(cell: CellResult, base: CellResult) -> str:
    if cell is base or not cell.parameters:
        return ""
    return f"{cell.parameters / base.parameters - 1:+.1%}".replace("-", "−")


def _sentence(fact: str) -> str:
    return f"{fact[:1].upper()}{fact[1:]}."
