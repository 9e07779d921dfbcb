"""What a model of tokens expected next, and how surprised it was by what came."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's view of the next token after each of T tokens.

    Attributes:
        tokens: (T, k) the most probable next tokens after each step, likeliest first.
        probabilities: (T, k) theirs.
        surprise: (T,) float64, how surprised the model was by token t itself, in bits:
            -log2 p(token t | those before it). NaN for the first, which nothing comes before.
    """

    tokens: Tensor
    probabilities: Tensor
    surprise: Tensor

    @property
    def bits(self) -> float:
        """The mean surprise, bits a token; NaN if there is nothing to predict."""
        return float(self.surprise[1:].mean())


def predictions(logits: Tensor, ids: Tensor, top: int = 5) -> Predictions:
    """The most probable next tokens at each step, and the surprise at each token.

    Args:
        logits: (T, V) scores of the next token after each step, or log-probabilities.
        ids: (T,) the tokens that were read.
        top: k, how many of the most probable ones; no more than V.

    Raises:
        InputError: shapes that do not belong together, a token outside the vocabulary, or no `top`.

    Example:
        >>> found = analysis.predictions(torch.zeros(5, 4), torch.tensor([0, 1, 2, 3, 0]), top=2)
        >>> found.bits  # four tokens, each as probable
        2.0
    """
    if logits.dim() != 2 or ids.shape != logits.shape[:1]:
        raise InputError(
            "logits, ids: expected (T, V) and (T,), got "
            f"{tuple(logits.shape)} and {tuple(ids.shape)}"
        )
    T, V = logits.shape
    ids = ids.to(logits.device, torch.int64)
    if T and not 0 <= int(ids.min()) <= int(ids.max()) < V:
        raise InputError(
            f"ids: expected tokens 0 to {V - 1}, got {int(ids.min())}-{int(ids.max())}"
        )
    log_p = logits.detach().double().log_softmax(-1)  # (T, V)
    best = log_p.topk(min(whole_number("top", top, 1), V), dim=-1)
    surprise = log_p.new_full((T,), math.nan)
    if T > 1:
        surprise[1:] = -log_p[:-1].gather(-1, ids[1:, None]).squeeze(-1) / math.log(2)
    return Predictions(best.indices, best.values.exp(), surprise)
