"""Weights set by hand: models that need no training, because one can say what each number does."""

from __future__ import annotations

import torch

from glasscell.tasks.classic.model import SequenceModel
from glasscell.tasks.classic.turnstile import PRICE, Turnstile


def counting_turnstile() -> SequenceModel:
    """A ReLU RNN that solves the turnstile for ever: one unit a kind of coin, and W = U = I.

    h_t = relu(I x_t + I h_{t-1}): each coin adds 1 to its unit, and nothing is ever taken away.
    The answer is h_1 + h_2 - 1.5: above 0 from the second coin on.

    Example:
        >>> from glasscell.tasks.classic import Turnstile, counting_turnstile
        >>> batch = Turnstile(T=1000).batch(50, torch.Generator().manual_seed(0))
        >>> bool(((counting_turnstile()(batch.inputs).squeeze(-1) > 0) == batch.targets).all())
        True
    """
    model = SequenceModel(Turnstile(), "relu_rnn", hidden=Turnstile.input_size)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        torch.nn.init.eye_(model.rnn.weight_ih_l0)
        torch.nn.init.eye_(model.rnn.weight_hh_l0)
        model.head.weight.fill_(1.0)
        model.head.bias.fill_(0.5 - PRICE)
    return model.eval()
