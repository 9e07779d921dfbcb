"""Counting, not learning: n-gram models to set a network's bits per character beside."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor


class NGram:
    """A token's probability from the `order` tokens before it, with Witten-Bell smoothing.

    With c a context, n(c) its count, n(c, w) how often w came next, and u(c) how many different
    tokens came next (Witten & Bell 1991; Chen & Goodman 1998, section 2.5),

        p_k(w | c) = (n(c, w) + u(c) p_{k-1}(w | c without its first token)) / (n(c) + u(c)),

    down to p_{-1} = 1 / V. Every distribution sums to 1 and gives every token some probability.

    Args:
        order: the length of the context; 0 is the frequency of single tokens.
        vocabulary: V.
    """

    def __init__(self, order: int, vocabulary: int) -> None:
        if order < 0 or vocabulary < 1:
            raise ValueError(f"order, vocabulary: expected >= 0, >= 1, got {order}, {vocabulary}")
        if (order + 1) * math.log2(max(2, vocabulary)) >= 63:
            raise ValueError(f"order: {order} is too long a context for {vocabulary} tokens")
        self.order = order
        self.vocabulary = vocabulary
        self._tables: list[_Counts] = []

    def fit(self, tokens: Tensor) -> NGram:
        """Counts a text, ids (N,)."""
        ids = tokens.numpy().astype(np.int64)
        self._tables = [
            _Counts(_codes(ids, k, self.vocabulary), self.vocabulary) for k in range(self.order + 1)
        ]
        return self

    def bits(self, tokens: Tensor) -> np.ndarray:
        """-log2 p of each token of a text (N,) but the first, which nothing comes before.

        The tokens right after the beginning have shorter contexts.
        """
        ids = tokens.numpy().astype(np.int64)
        p = np.full(len(ids), 1 / self.vocabulary)
        for k, table in enumerate(self._tables):
            # Token t has k tokens before it from t = k on; earlier ones stay as they are.
            p[k:] = table.interpolate(_codes(ids, k, self.vocabulary), p[k:])
        return -np.log2(p[1:])

    def bits_per_token(self, tokens: Tensor) -> float:
        """The mean of `bits`; bits per character where a token is a character."""
        if len(tokens) < 2:
            raise ValueError(f"tokens: expected at least 2, got {len(tokens)}")
        return float(self.bits(tokens).mean())

    def probabilities(self, context: Tensor) -> np.ndarray:
        """The distribution (V,) of the token after a context of any length."""
        ids = context.numpy().astype(np.int64)
        p = np.full(self.vocabulary, 1 / self.vocabulary)
        for k, table in enumerate(self._tables[: len(ids) + 1]):
            code = 0
            for token in ids[len(ids) - k :]:
                code = code * self.vocabulary + int(token)
            p = table.interpolate(code * self.vocabulary + np.arange(self.vocabulary), p)
        return p


def _codes(ids: np.ndarray, k: int, vocabulary: int) -> np.ndarray:
    """Each run of k + 1 tokens as one number, base V; (N - k,)."""
    codes = np.zeros(max(0, len(ids) - k), np.int64)
    for offset in range(k + 1):
        codes = codes * vocabulary + ids[offset : offset + len(codes)]
    return codes


class _Counts:
    """n(c, w), n(c) and u(c) for all contexts of one length."""

    def __init__(self, codes: np.ndarray, vocabulary: int) -> None:
        self.vocabulary = vocabulary
        self.runs, self.n_runs = np.unique(codes, return_counts=True)
        self.contexts, first = np.unique(self.runs // vocabulary, return_index=True)
        self.followers = np.diff(np.append(first, len(self.runs)))  # u(c)
        self.n_contexts = (
            np.add.reduceat(self.n_runs, first) if len(first) else np.zeros(0, np.int64)
        )

    def interpolate(self, codes: np.ndarray, lower: np.ndarray) -> np.ndarray:
        """p_k of each run of tokens, given p_{k-1} of it."""
        n_run = _look_up(self.runs, self.n_runs, codes)
        n = _look_up(self.contexts, self.n_contexts, codes // self.vocabulary)
        u = _look_up(self.contexts, self.followers, codes // self.vocabulary)
        seen = n > 0
        return np.where(seen, (n_run + u * lower) / np.where(seen, n + u, 1), lower)


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """values at the keys that are wanted, 0 where a key is not there; keys are sorted."""
    if not len(keys):
        return np.zeros(len(wanted), np.int64)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)
