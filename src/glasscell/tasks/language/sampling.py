"""Writing text: one token at a time, each drawn from the model's own prediction."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from numbers import Integral

import torch
from torch import Tensor

from glasscell.errors import UserError
from glasscell.tasks.language.model import LanguageModel
from glasscell.tasks.language.vocabulary import Vocabulary


def sampling_probabilities(
    logits: Tensor, *, temperature: float = 1.0, top_k: int | None = None, top_p: float = 1.0
) -> Tensor:
    """The distribution that the next token is drawn from.

    Args:
        logits: scores (V,).
        temperature: divides the scores; below 1 is bolder towards the probable, 0 always takes
            the most probable.
        top_k: keep the k most probable tokens.
        top_p: keep the fewest tokens whose probabilities add up to at least p (nucleus sampling,
            Holtzman et al. 2020); applied after `top_k`.

    Returns:
        probabilities (V,), which sum to 1; what is not kept has exactly 0.
    """
    _check(temperature, top_k, top_p)
    logits = logits.double()
    if temperature == 0:
        return torch.zeros_like(logits).index_fill_(0, logits.argmax(), 1.0)
    scores = (
        logits - logits.max()
    ) / temperature  # at most 0: a tiny temperature overflows to -inf
    probabilities, order = torch.softmax(scores, 0).sort(descending=True, stable=True)
    if top_k is not None:
        probabilities[top_k:] = 0
    if top_p < 1:
        kept = probabilities / probabilities.sum()
        before = kept.cumsum(0) - kept  # the probability of all tokens ranked higher
        probabilities[before >= top_p] = 0
    probabilities /= probabilities.sum()
    return torch.empty_like(probabilities).scatter_(0, order, probabilities)


def _check(temperature: float, top_k: int | None, top_p: float) -> None:
    if not 0 <= temperature < float("inf"):
        raise UserError(f"temperature: expected 0 or more, got {temperature}")
    if top_k is not None and not (isinstance(top_k, Integral) and top_k >= 1):
        raise UserError(f"top_k: expected a whole number, at least 1, got {top_k}")
    if not 0 < top_p <= 1:
        raise UserError(f"top_p: expected a fraction in (0, 1], got {top_p}")


def sample_tokens(
    model: LanguageModel,
    prompt: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int | None = None,
) -> Iterator[int]:
    """Tokens that go on after a prompt, without end; the state is carried from each to the next.

    Args:
        model: in evaluation mode.
        prompt: token ids (N,), N >= 1.
        temperature, top_k, top_p: see `sampling_probabilities`.
        seed: the same seed draws the same tokens.
    """
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(int(seed))
    tokens, state = prompt.long().view(-1, 1), None  # (N, 1)
    while True:
        with torch.inference_mode():
            logits, state = model(tokens.to(model.device), state)
            last = logits[-1, 0].cpu()
        probabilities = sampling_probabilities(
            last, temperature=temperature, top_k=top_k, top_p=top_p
        )
        token = int(torch.multinomial(probabilities, 1, generator=generator))
        yield token
        tokens = torch.tensor([[token]])


def generate(
    model: LanguageModel,
    vocabulary: Vocabulary,
    prompt: str = "",
    length: int = 500,
    *,
    temperature: float = 0.8,
    top_k: int | None = None,
    top_p: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """Text that goes on after a prompt, piece by piece as it is drawn; the prompt is not repeated.

    Args:
        prompt: what the model reads first; empty begins as after a line break.
        length: how many tokens to draw.
        temperature, top_k, top_p, seed: see `sample_tokens`.

    Raises:
        UnknownCharacters: the prompt holds characters that the model has never seen.
        UserError: an option out of its range.
    """
    _check(temperature, top_k, top_p)
    if not (isinstance(length, Integral) and length >= 0):
        raise UserError(f"length: expected a whole number, 0 or more, got {length}")
    if seed is not None and not (isinstance(seed, Integral) and 0 <= seed < 2**63):
        raise UserError(f"seed: expected a whole number from 0, below 2**63, got {seed}")
    start = vocabulary.encode(prompt) if prompt else _beginning(vocabulary)
    tokens = sample_tokens(
        model.eval(), start, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
    )
    return vocabulary.pieces(islice(tokens, length))


def _beginning(vocabulary: Vocabulary) -> Tensor:
    for character in ("\n", " "):
        if not vocabulary.unknown(character):
            return vocabulary.encode(character)
    return torch.tensor([0])
