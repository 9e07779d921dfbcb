"""Counts and steps that are no whole numbers, or beyond what there is."""

import numpy as np
import pytest
import torch

import glasscell
from glasscell import analysis
from glasscell.analysis.whole_numbers import whole_number
from glasscell.errors import InputError


@pytest.mark.parametrize("value", [3, np.int64(3), torch.tensor(3)])
def test_whatever_counts_is_taken(value):
    found = whole_number("k", value, 1, 3)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize("value", [2.0, "2", None, True, np.float64(2), [2]])
def test_what_does_not_is_refused(value):
    with pytest.raises(InputError, match="k: expected a whole number, 1 to 3, got "):
        whole_number("k", value, 1, 3)


def test_bounds_are_said():
    with pytest.raises(InputError, match="k: expected at least 1, got 0"):
        whole_number("k", 0, 1)
    with pytest.raises(InputError, match="k: expected -2 to 1, the steps there are, got 2"):
        whole_number("k", 2, -2, 1, ", the steps there are")


def test_the_analyses_ask():
    lstm, x = glasscell.LSTM(2, 3), torch.randn(6, 2, 2)
    with glasscell.trace(lstm, gradients=True) as trace:
        lstm(x)[0].sum().backward()
    layer = trace["l0"]
    for ask in (
        lambda: analysis.ledger(layer, 2.0),  # type: ignore[arg-type]
        lambda: analysis.gradient_ledger(layer, 2.0),  # type: ignore[arg-type]
        lambda: analysis.lyapunov_exponents(lstm, layer, k=2.0),  # type: ignore[arg-type]
        lambda: analysis.gradient_flow(lstm, x, directions=2.0),  # type: ignore[arg-type]
        lambda: analysis.most_moved_cells(layer, top=2.0),  # type: ignore[arg-type]
        lambda: analysis.predictions(torch.randn(4, 3), torch.zeros(4), top=2.0),  # type: ignore[arg-type]
    ):
        with pytest.raises(InputError, match=r": expected a whole number, .* got 2\.0"):
            ask()
    with pytest.raises(InputError, match="top: expected at least 0, got -1"):
        analysis.units_by_memory(layer, top=-1)
    with pytest.raises(InputError, match="top: expected at least 1, got -1"):
        analysis.predictions(torch.randn(4, 3), torch.zeros(4), top=-1)
