"""`glasscell.explain`: one step of any cell, written out."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from glasscell.cells import Cell, Weights
from glasscell.errors import InputError
from glasscell.examples import EXAMPLES, tell_example
from glasscell.explaining.document import Explanation, joined
from glasscell.explaining.moment import Moment
from glasscell.explaining.observed import Steps, called_with, observed, recorded
from glasscell.explaining.step import explain_step
from glasscell.nn import Recurrent
from glasscell.nn.one_step import RecurrentCell
from glasscell.tracing import LayerTrace

Values = Tensor | Sequence[Any]


def explain(
    subject: nn.Module | LayerTrace | Cell | None = None,
    x: Any = None,
    h: Values | None = None,
    c: Values | None = None,
    *,
    step: Steps = -1,
    layer: str | None = None,
    b: int = 0,
    units: Sequence[int] | None = None,
    weights: Weights | None = None,
    example: str | None = None,
) -> Explanation:
    """One step of a recurrent cell written out with its own numbers and shapes.

    What is put together, each matrix with its size and why it has it, the products, the bias, the
    squash, gate by gate; the Hadamard products, the cell state, the hidden state; a check of
    every dimension; and in words what each unit did. The numbers are those of the cell's own
    step, in float64.

    Args:
        subject: what takes the step:

            - a one-step cell (`glasscell.LSTMCell` and the others, torch.nn's too), with x and
              the states before;
            - a layer (`glasscell.LSTM`, `torch.nn.LSTM`, ...) or a model with one in it, with the
              input that it reads;
            - a layer of a trace, `trace["l0"]`: without x, and so without the products;
            - the equations, `glasscell.cells.LSTM()`, with `weights`.
        x: what the subject is called with: (I,) for a cell, (T, B, I) or another layout of its own
            for a layer, whatever a model takes.
        h, c: the states before, for a cell (P,) and (H,), for a layer as its hx; zeros if absent.
        step: which step of a sequence, or several; negative ones count from the end.
        layer: which layer of a model or stack, "encoder.l0" or a part, "l0"; if absent the last
            one that ran.
        b: which sequence of the batch.
        units: which units are shown; if absent all, or of more than eight the first and the last.
        weights: of the equations, where a `Cell` is given.
        example: the name of one that needs nothing else: "forget-layer", or a guided one that
            first trains small models and has figures: "turnstile", "france", "vanishing".

    Returns:
        The explanation. It shows itself in a notebook; `print` gives its text, `.markdown()` and
        `.html()` the same for a document and for a browser.

    Raises:
        TypeError: subject is none of these.
        InputError: a shape, step, unit or name that does not fit; a guided example without
            plotly.

    Example:
        >>> cell = glasscell.LSTMCell(3, 3)
        >>> told = glasscell.explain(cell, [4, 5, 6], h=[1, 2, 3], c=[0.5, -1, 2])
        >>> all(check.holds for check in told.checks)
        True
        >>> told = glasscell.explain(lstm, x, step=20, b=2, units=[3, 5])
        >>> print(glasscell.explain(example="forget-layer"))
        The forget layer, by hand
        ...
    """
    if example is not None:
        if subject is not None:
            raise InputError("example: expected no subject beside it; leave one of them out")
        if example not in EXAMPLES:
            raise InputError(f"example: expected one of {', '.join(EXAMPLES)}, got {example!r}")
        return tell_example(example)
    moments = _moments(subject, x, h, c, step=step, layer=layer, b=b, weights=weights)
    told = [explain_step(moment, units) for moment in moments]
    return told[0] if len(told) == 1 else joined(_several(moments), told)


def _moments(
    subject: Any, x: Any, h: Any, c: Any, *, step: Steps, layer: str | None, b: int, weights: Any
) -> list[Moment]:
    if isinstance(subject, LayerTrace):
        if x is not None or h is not None or c is not None:
            raise InputError("x, h, c: a record has them already; give the layer itself, or none")
        return recorded(subject, step, b)
    if x is None:
        beside = "no subject" if subject is None else f"a {type(subject).__name__} alone"
        raise InputError(f"x: expected what the subject reads, beside it; got {beside}")
    if isinstance(subject, Cell):
        if not isinstance(weights, Weights):
            raise InputError(
                f"weights: expected glasscell.cells.Weights, got {type(weights).__name__}"
            )
        return [Moment.of(subject, weights, x, h, c)]
    if not isinstance(subject, nn.Module):
        raise TypeError(
            "subject: expected a layer, a one-step cell, a model, a layer of a trace or a cell's "
            f"equations, got {type(subject).__name__}"
        )
    if isinstance(subject, Recurrent | RecurrentCell | nn.RNNBase | nn.RNNCellBase):
        given = called_with(subject, x, h, c)
    elif h is None and c is None:
        given = (x,)
    else:
        raise InputError("h, c: expected none, as a model makes its own; give them with a layer")
    return observed(subject, given, layer, step, b)


def _several(moments: Sequence[Moment]) -> str:
    steps = [str(moment.t) for moment in moments]
    return f"Steps {', '.join(steps[:-1])} and {steps[-1]} of `{moments[0].name}`"
