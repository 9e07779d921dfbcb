"""The size of each cell of a comparison: all models have nearly the same number of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from glasscell.comparing.models import Size, matched_hidden, parameters_of
from glasscell.comparing.questions import BASE
from glasscell.comparing.workloads import Workload


def matched_sizes(
    workload: Workload, cells: Sequence[str], hidden: int, known: Mapping[str, Size]
) -> dict[str, Size]:
    """The size of each cell at which its model comes closest to the plain LSTM's parameters.

    Args:
        workload: whose models they are.
        cells: by name.
        hidden: units of the plain LSTM.
        known: sizes found before, which stay.
    """
    sizes = {BASE: Size(hidden)}
    wanted = parameters_of(lambda: workload.model(BASE, sizes[BASE]))
    for cell in cells:
        if cell not in sizes:
            sizes[cell] = known.get(cell) or Size(
                matched_hidden(lambda h, cell=cell: workload.model(cell, Size(h)), wanted)
            )
    return sizes
