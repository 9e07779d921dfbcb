"""How steep the squashes are, and why the cell state's own slope is the forget gate."""

from typing import Any

import torch

from glasscell.cells import LSTM, SIGMOID, TANH, Weights
from glasscell.explaining.numerals import column, matrix, number
from glasscell.explaining.pieces import (
    Check,
    Equation,
    Heading,
    Piece,
    Prose,
    Table,
)

AT = (0.0, 1.0, 2.0, 4.0)
GATES = (0.5, 0.8, 0.9, 1.0)  # forget gates whose effect over many steps is told
STEPS = 100
SAME = 1e-12


def slopes() -> list[Piece]:
    """Slopes of sigmoid and tanh, and that of the carousel, all computed."""
    values = torch.linspace(-8, 8, 16001, dtype=torch.float64)
    steepest = {s.name: float(s.slope(s.apply(values)).max()) for s in (SIGMOID, TANH)}
    at = torch.tensor(AT, dtype=torch.float64)
    rows = [
        [number(v), number(float(s)), number(float(t))]
        for v, s, t in zip(AT, _slope(SIGMOID, at), _slope(TANH, at), strict=True)
    ]
    f, jacobian = _carousel()
    off = float((jacobian - torch.diag(f)).abs().max())
    vanishing = [
        [number(g), number(g**STEPS), number((g * steepest["sigmoid"]) ** STEPS)] for g in GATES
    ]
    return [
        Heading("Slopes, and the carousel"),
        Prose(
            "Learning sends a slope back through every function on the way. The sigmoid's is "
            f"$y (1 - y)$ and at most {number(steepest['sigmoid'])}; that of tanh is $1 - y^2$ and "
            f"at most {number(steepest['tanh'])}, both at 0. Further out they fall fast:"
        ),
        Table(["$v$", "slope of $\\sigma$", "slope of $\\tanh$"], rows, "rrr"),
        Check(
            "no slope of the sigmoid is above 1/4, none of tanh above 1, over "
            f"{len(values):,} values from −8 to 8",
            steepest["sigmoid"] <= 0.25 and steepest["tanh"] <= 1,
        ),
        Prose(
            "A state that goes through a squash at each step is multiplied by such a slope at each "
            "step. The cell state goes through none: it is multiplied by the forget gate, and "
            "something is added. So its slope from one step to the next is the forget gate itself "
            "(the gates depend on $c_{t-1}$ too, through $h_{t-1}$; that way is left aside):"
        ),
        Equation(
            "\\frac{\\partial c_t}{\\partial c_{t-1}} = "
            f"{matrix(jacobian.numpy())} = \\mathrm{{diag}}({column(f.numpy())})",
            "differentiated by the machine, and the forget gate beside it",
        ),
        Check(
            f"the slope is the forget gate: the largest difference is {number(off)}", off <= SAME
        ),
        Table(
            ["forget gate", f"slope over {STEPS} steps", "the same through a sigmoid each step"],
            vanishing,
            "rrr",
            "A gate that stays at 1 is the constant error carousel of Hochreiter and Schmidhuber "
            "(1997): what goes back along it neither vanishes nor grows. The last column has the "
            "sigmoid's steepest slope, and so is the most that could be.",
        ),
    ]


def _slope(squash: Any, v: torch.Tensor) -> torch.Tensor:
    return squash.slope(squash.apply(v))


def _carousel() -> tuple[torch.Tensor, torch.Tensor]:
    """The forget gate of a step with drawn weights, and dc_t/dc_{t-1} (H, H) by autograd."""
    draw = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    cell, H = LSTM(), 3
    w = Weights(W=drawn(4 * H, 2), U=drawn(4 * H, H), b_x=drawn(4 * H))
    x, h, c = drawn(1, 2), drawn(1, H), drawn(1, H)

    def after(c: torch.Tensor) -> torch.Tensor:
        new = cell.step(x, h, c[None], w).c
        assert new is not None
        return new[0]

    jacobian = torch.autograd.functional.jacobian(after, c[0])
    assert isinstance(jacobian, torch.Tensor)
    return cell.step(x, h, c, w).gates[0, 1], jacobian
