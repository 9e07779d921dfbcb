"""The figures on a comparison's page, which need plotly."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from glasscell.explaining import Figure, Prose
from glasscell.explaining.pieces import Piece

if TYPE_CHECKING:
    from glasscell.comparing.comparison import Comparison


def score_figures(found: Comparison) -> list[Piece]:
    """The scores seed by seed, and how each cell learns."""
    from glasscell import plots

    measure = found.measure
    scores = {c.cell: [r.score for r in c.runs if r.score is not None] for c in found.cells}
    scores = {name: values for name, values in scores.items() if values}
    pieces: list[Piece] = []
    if scores:
        intervals = {c.cell: (c.score.low, c.score.high) for c in found.cells if c.score.n > 1}
        done = [c for c in found.cells if c.score.n]
        means = ", ".join(f"{c.cell} {measure.told(c.score.mean)}" for c in done)
        pieces.append(
            _figure(
                plots.seed_scores,
                scores,
                intervals=intervals,
                across=measure.name,
                levels=dict(measure.levels),
                caption="Each dot is a training; the bar is the interval of the mean.",
                alt=f"Dots in a row for each cell; means: {means}.",
            )
        )
    # Where all made as many updates, these are what they share; else the time.
    counted = len({run.updates for cell in found.cells for run in cell.done}) == 1
    curves = {
        cell.cell: [
            (
                [look.updates if counted else look.seconds for look in run.looks],
                [look.score for look in run.looks],
            )
            for run in cell.runs
            if run.looks
        ]
        for cell in found.cells
    }
    curves = {name: each for name, each in curves.items() if each}
    if curves:
        pieces.append(
            _figure(
                plots.learning_curves,
                curves,
                across="updates" if counted else "seconds of processor time, in updates",
                up=f"{measure.name}, validation",
                caption="How each cell learns: a thin line is a training, the thick one their "
                "mean, as far as all of them go.",
                alt="Lines that follow the validation score over the training.",
            )
        )
    return pieces


def cost_figure(found: Comparison) -> Piece:
    """Scores over speeds; a sentence where no training was done."""
    from glasscell import plots

    points = {
        c.cell: (c.training_speed, c.score.mean, c.score.low, c.score.high)
        for c in found.cells
        if c.score.n
    }
    if not points:
        return Prose("No training was done, so there is no cost to be shown.")
    said = ", ".join(f"{name} {x:,.0f} tokens a second" for name, (x, *_) in points.items())
    return _figure(
        plots.cost_scores,
        points,
        across="tokens a second in training, one thread",
        up=found.measure.name,
        caption="What a score costs: further right is faster, and further "
        f"{'down' if found.measure.lower_is_better else 'up'} is better.",
        alt=f"A point with an interval for each cell: {said}.",
    )


def _figure(draw: Callable[..., Any], *args: Any, caption: str, alt: str, **options: Any) -> Figure:
    light, dark = (draw(*args, dark=each, **options) for each in (False, True))
    return Figure(light, caption, alt, dark=dark)
