"""The named variants for tests of engines: their weights, and their published equations."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import numpy as np
import torch
from tests.cells import published
from torch import Tensor

from glasscell.cells import HARD_SIGMOID, SIGMOID, VARIANTS, Cell, GateMap, Weights
from glasscell.engines import Call, Packing, Record, RunEdit
from glasscell.engines.noise import RunNoise

SQUARE = ("mut1", "mut2")  # they add x_t itself to H numbers
STATES = {"slstm": ("c", "n", "m")}  # the letters of what is carried beside h; c for the others
LETTERS = {"S": "R"}  # the published equations' names of weights, where they have others
OPENS = (SIGMOID, HARD_SIGMOID)


def drawn(cell: Cell, how: str) -> Cell:
    """The same cell with every gate drawn that can be."""
    changed: dict[str, Any] = {}
    for field in fields(cell):  # type: ignore[arg-type]
        gate = getattr(cell, field.name)
        if isinstance(gate, GateMap) and gate.squash in OPENS:
            changed[field.name] = replace(
                gate, stochastic=how, temperature=0.7 if how == "gumbel" else 1.0
            )
    return replace(cell, **changed)  # type: ignore[type-var]


def weights(cell: Cell, I: int, H: int, P: int, dtype: torch.dtype) -> Weights:
    """Random weights, at the scale layers draw theirs from."""
    bound = max(H, P) ** -0.5
    shapes = cell.shapes(I, H, P)
    return Weights(
        **{
            letter: torch.empty(shape).uniform_(-bound, bound).to(dtype)
            for letter, shape in shapes.items()
        }
    )


def call_of(
    cell: Cell,
    lengths: list[int],
    I: int,
    H: int,
    P: int,
    dtype: torch.dtype = torch.float64,
    reverse: bool = False,
    noise: RunNoise | None = None,
) -> Call:
    """A call with values that `dtype` represents exactly; lengths longest first."""
    packing = Packing.from_lengths(torch.tensor(lengths))
    N, B = packing.N, packing.B
    c_0 = torch.rand(B, cell.C * H).to(dtype) + 0.5 if cell.has_cell_state else None
    return Call(
        cell,
        weights(cell, I, H, P, dtype),
        torch.randn(N, I).to(dtype),
        packing,
        torch.randn(B, P).to(dtype),
        c_0,
        reverse,
        record=True,
        noise=noise,
    )


def with_edits(call: Call) -> Call:
    """The same call with every quantity edited: scaled and shifted at some tokens, replaced at
    others, and left alone at the rest.
    """
    P, N = call.weights.U.shape[1], call.packing.N
    edits = []
    for quantity in call.cell.quantities:
        width = P if quantity == "hidden" else call.H
        scale = torch.rand(2, width, dtype=call.x.dtype) + 0.5
        scale[1] = torch.nan
        shift = torch.rand(2, width, dtype=call.x.dtype) * 0.3 + 0.1
        edits.append(RunEdit(quantity, torch.randint(-1, 2, (N,)), scale, shift))
    return call._replace(edits=tuple(edits))


def with_leaves(call: Call) -> tuple[Call, list[Tensor | None]]:
    """The same call on tensors of its own that want gradients."""
    leaves = [None if t is None else t.detach().clone().requires_grad_() for t in call.tensors()]
    return call.with_tensors(leaves), leaves


def results(record: Record) -> dict[str, Tensor]:
    """What a record holds, by name."""
    return {name: t for name, t in record._asdict().items() if t is not None}


def published_run(
    name: str,
    call: Call,
    noise: Callable[[list[int], int], list[published.Noise]] | None = None,
) -> dict[str, Tensor]:
    """The same as `results`, from the published equations, one sequence after the other.

    Args:
        noise: what chance does at each step of a sequence, from its tokens' rows in the order in
            which they are visited, and its place.
    """
    packing, cell, H = call.packing, call.cell, call.H
    w = {
        LETTERS.get(letter, letter): tensor.double().numpy()
        for letter, tensor in call.weights._asdict().items()
        if tensor is not None
    }
    letters = [gate.letter for gate in cell.gates]
    states = STATES.get(name, ("c",)) if cell.has_cell_state else ()
    rows: dict[str, list] = {"h": [], "c": [], "gates": [], "pre": []}
    lengths = [sum(b < size for size in packing.batch_sizes) for b in range(packing.B)]
    first = np.concatenate(([0], np.cumsum(packing.batch_sizes)))
    tokens, last = [], {"h_n": [], "c_n": []}
    for b, length in enumerate(lengths):
        own = [int(first[t]) + b for t in range(length)]
        own = own[::-1] if call.reverse else own
        before = {"h": call.h_0[b : b + 1].double().numpy()}
        if call.c_0 is not None:
            parts = call.c_0[b : b + 1].double().split(H, -1)
            before |= {k: part.numpy() for k, part in zip(states, parts, strict=False)}
            if name == "fgr":
                before |= {k: part.numpy() for k, part in zip("ifo", parts[1:], strict=True)}
        chance = published.QUIET if noise is None else noise(own, b)
        done = published.run(name, call.x[own].double().numpy()[:, None], before, w, chance)
        carried = [*states, *("ifo" if name == "fgr" else "")]
        tokens += own
        values = {"i": "written", "f": "kept"} if name == "slstm" else {}
        rows["h"].append(done["h"][:, 0])
        rows["gates"].append(np.stack([done[values.get(k, k)][:, 0] for k in letters], 1))
        rows["pre"].append(np.stack([done[f"{k}_pre"][:, 0] for k in letters], 1))
        last["h_n"].append(done["h"][-1, 0])
        if carried:
            rows["c"].append(np.concatenate([done[k][:, 0] for k in carried], -1))
            last["c_n"].append(rows["c"][-1][-1])
    order = np.argsort(tokens)
    found = {k: torch.from_numpy(np.concatenate(v)[order]) for k, v in rows.items() if v}
    return found | {k: torch.from_numpy(np.stack(v)) for k, v in last.items() if v}


def applicable(name: str, I: int, H: int) -> int:
    """I, or H where the cell adds x_t itself."""
    return H if name in SQUARE else I


NAMES = tuple(VARIANTS)
