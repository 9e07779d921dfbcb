"""An edit inside the recurrence: from one step on, some units hold what another sentence put in."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from glasscell.stories.france.reading import LAYER
from glasscell.tasks.france import WordModel
from glasscell.tracing import edit


def patched(
    model: WordModel, words: Tensor, units: Sequence[int], step: int, cell: Tensor
) -> Tensor:
    """The model's log-probabilities of the next words (T, B, V), with an edit.

    From step `step` on the cell states of `units` are those of `cell`, at the same steps;
    everything else follows from there: the hidden state, the gates after it, the other units.

    Args:
        words: ids (T, B).
        units: which.
        step: since when.
        cell: (T, B, H), of another run over as many steps.
    """
    edited = edit(model, LAYER, "cell", units=list(units), steps=slice(step, None), set=cell)
    with torch.no_grad(), edited:
        return model(words).log_softmax(-1)
