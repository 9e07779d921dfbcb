"""Steps of every variant, explained, beside the published equations of tests/cells."""

import re

import numpy as np
import torch
from tests.cells import published
from tests.cells.published_setting import H, I, setting
from torch import Tensor

import glasscell
from glasscell.cells import VARIANTS, Cell, Weights
from glasscell.explaining import Explanation, Vector

SQUARE = ("mut1", "mut2")
PROJECTED = [name for name, cell in VARIANTS.items() if cell.has_cell_state]


def published_step(name: str, P: int | None = None):
    """What goes into one step, as the package takes it, and what the published equations give."""
    x, before, w = setting(name, I=H if name in SQUARE else I, P=P)
    x, before = x[0, :1], {letter: state[:1] for letter, state in before.items()}
    if name == "fgr":
        before |= {k: np.random.default_rng(1).uniform(size=(1, H)) for k in "ifo"}
    if "n" in before:  # a sum of what was written
        before["n"] = abs(before["n"])
    expected = {k: v[0] for k, v in published.step(name, x, before, w).items()}
    letters = {"fgr": "cifo", "slstm": "cnm"}.get(name, "c")
    c = None
    if "c" in before:
        c = torch.from_numpy(np.concatenate([before[k][0] for k in letters]))
    given = Weights(**{("S" if k == "R" else k): torch.from_numpy(v) for k, v in w.items()})
    return (torch.from_numpy(x[0]), torch.from_numpy(before["h"][0]), c), given, expected


def drawn_weights(cell: Cell, I: int, H: int, P: int | None = None, bias: bool = True) -> Weights:
    """Weights of any cell, in float64."""
    shapes = cell.shapes(I, H, P or H, bias)
    return Weights(**{letter: torch.randn(shape).double() for letter, shape in shapes.items()})


def values(told: Explanation) -> dict[str, np.ndarray]:
    """The vectors that are shown, by name."""
    return {p.name: p.values for p in told.pieces if isinstance(p, Vector)}


def layer_of(name: str, **options) -> tuple[glasscell.Recurrent, Tensor]:
    """A layer of a variant, run by the equations themselves, and an input (T, B, I)."""
    I = H if name in SQUARE else 3
    layer = glasscell.Recurrent(I, H, cell=name, engine="reference", **options)
    return layer, torch.randn(6, 3, I)


def worked_out(side: str) -> np.ndarray:
    """What a side of a printed equation comes to, read as a person with a calculator would."""
    text = side.replace(" \\cdot 10^{", "e").replace("\\odot", "*")
    text = re.sub(r"e(-?\d+)\}", r"e\1", text)
    text = re.sub(
        r"\\begin\{bmatrix\}(.*?)\\end\{bmatrix\}",
        lambda found: f"array([{','.join(found[1].split(chr(92) * 2))}])",
        text,
    )
    return eval(text, {"array": np.array, "inf": np.inf})
