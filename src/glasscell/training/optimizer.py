"""The optimizer of a language model's recipe: AdamW, whose memory of gradients is short."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from glasscell.training.recipe import Recipe

BETAS = (0.9, 0.95)  # what stays, a step, of the gradients' mean and of their squares' mean


def optimizer_of(weights: Iterable[nn.Parameter], recipe: Recipe) -> torch.optim.AdamW:
    """AdamW as a recipe has it.

    The learning rate is the recipe's highest, or 0 where it names none: who trains sets it anew
    before every step.
    """
    return torch.optim.AdamW(
        weights, lr=recipe.learning_rate or 0.0, betas=BETAS, weight_decay=recipe.weight_decay
    )
