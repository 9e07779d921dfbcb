"""The embedded Reber grammar (Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", 5.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import InputError
from glasscell.tasks.classic.legal_next import LegalNext
from glasscell.tasks.generated import Batch

SYMBOLS = ("B", "T", "P", "S", "X", "V", "E")
OUTER = ("T", "P")  # what comes second, and again last but one
SHORTEST = 8  # steps read of the shortest strings: BTBTXSETE and BTBPVVETE, without their E

# Reber's own grammar: from each node, the symbols that may come, and where they lead.
REBER = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}
LAST = 7


def _embedded() -> dict[object, dict[str, object]]:
    """The grammar with another around it: B, then T or P, a string of Reber's, the same, E."""
    graph: dict[object, dict[str, object]] = {"begun": {o: (o, 0) for o in OUTER}}
    for o in OUTER:
        for node, ways in REBER.items():
            graph[o, node] = {symbol: (o, to) for symbol, to in ways.items()}
        graph[o, LAST] = {o: "last"}
    graph["last"] = {"E": "done"}
    return graph


_GRAPH = _embedded()
_NODE = {node: k for k, node in enumerate((*_GRAPH, "done"))}
_DONE = _NODE["done"]
# Of each node two ways out, twice the same where there is but one: the symbol, and where to.
_WAYS = [[*ways.items()] * (3 - len(ways)) for ways in _GRAPH.values()] + [[("E", "done")] * 2]
_SYMBOL = torch.tensor([[SYMBOLS.index(symbol) for symbol, _ in ways] for ways in _WAYS])
_TO = torch.tensor([[_NODE[to] for _, to in ways] for ways in _WAYS])
_LEGAL = F.one_hot(_SYMBOL, len(SYMBOLS)).amax(1).float()  # (nodes, 7)


@dataclass(frozen=True)
class Reber(LegalNext):
    """Which symbols may come next? The last but one is the second again, a whole string later.

    A string is B, then T or P, a string of Reber's grammar, the same T or P again, and E; where
    two symbols may come, both are as likely. Inputs are (T, B, 7): all symbols but the last,
    one-hot. Targets are (T, B, 7): the symbols that may come after each. Lengths differ.

    Scored by the share of strings told right at every step. The *decisive step* is the one before
    the last but one: what knows the grammar but has forgotten the second symbol can only guess
    there, and is right at half of the strings at best. (In the paper a step is right where the
    symbols that may come have the highest outputs; here each has to be above 0, and the others
    not.)

    Args:
        T: steps of the longest strings, at least 8; longer ones are drawn again. More than
            half have 10 steps or less, so that a larger T changes little.

    Example:
        >>> from glasscell.tasks.classic import Reber
        >>> from glasscell.tasks.classic.reber import SYMBOLS
        >>> batch = Reber().batch(1, torch.Generator().manual_seed(0))
        >>> text = "".join(SYMBOLS[k] for k in batch.inputs[: batch.lengths[0], 0].argmax(-1))
        >>> text[0], text[1] == text[-1]
        ('B', True)
    """

    T: int = 40

    name = "reber"
    input_size = len(SYMBOLS)
    output_size = len(SYMBOLS)

    def __post_init__(self) -> None:
        if self.T < SHORTEST:
            raise InputError(f"T: expected at least {SHORTEST} steps, got {self.T}")

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        symbols = torch.zeros(self.T, size, dtype=torch.int64)
        nodes = torch.full((self.T, size), _DONE)
        missing = torch.arange(size)
        while len(missing):
            symbols[:, missing], nodes[:, missing], ended = _walks(self.T, len(missing), generator)
            missing = missing[~ended]
        real = nodes != _DONE  # (T, B)
        lengths = real.sum(0)
        T = int(lengths.max())
        inputs = F.one_hot(symbols[:T], len(SYMBOLS)).float() * real[:T, :, None]
        return Batch(inputs, _LEGAL[nodes[:T]] * real[:T, :, None], lengths)

    def details(self, outputs: Tensor, batch: Batch) -> dict[str, float]:
        which = torch.arange(len(batch.lengths), device=batch.lengths.device)
        decisive = self.right(outputs, batch)[batch.lengths - 2, which]
        share = float(decisive.double().mean())
        return {"decisive step": share, **super().details(outputs, batch)}


def _walks(T: int, B: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Walks through the grammar, all side by side.

    Returns:
        (T, B) the symbol read at each step, (T, B) the node it leads to, "done" after the end,
        and (B,) whether the end was reached within T steps.
    """
    ways = torch.randint(2, (T, B), generator=generator)
    symbols, nodes = torch.zeros(T, B, dtype=torch.int64), torch.full((T, B), _DONE)
    node = torch.full((B,), _NODE["begun"])  # B is read
    for t in range(T):
        nodes[t] = node
        if t + 1 < T:
            symbols[t + 1] = _SYMBOL[node, ways[t]]
        node = _TO[node, ways[t]]
        if bool((node == _DONE).all()):
            break
    return symbols, nodes, node == _DONE
