"""A trace printed as a table of names, shapes and ranges."""

import pytest
import torch
from tests.tracing.models import LENGTHS
from torch import nn

import glasscell


def rows_of(trace) -> list[list[str]]:
    return [line.split() for line in str(trace).splitlines()]


def test_the_whole_table():
    layer = nn.LSTM(3, 4)
    with torch.no_grad():
        for weight in layer.parameters():
            weight.zero_()
    with glasscell.trace(layer) as trace:
        layer(torch.randn(6, 5, 3))
    assert str(trace) == "\n".join(
        [
            "layer  quantity     shape        min   mean    max",
            "l0     input_gate   (6, 5, 4)  0.500  0.500  0.500",
            "       forget_gate  (6, 5, 4)  0.500  0.500  0.500",
            "       candidate    (6, 5, 4)  0.000  0.000  0.000",
            "       output_gate  (6, 5, 4)  0.500  0.500  0.500",
            "       cell         (6, 5, 4)  0.000  0.000  0.000",
            "       hidden       (6, 5, 4)  0.000  0.000  0.000",
        ]
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_ranges_are_those_of_the_real_steps(dtype):
    layer = glasscell.GRU(3, 4, dtype=dtype)
    x = torch.randn(6, 5, 3, dtype=dtype)
    with glasscell.trace(layer) as trace:
        layer(x, lengths=LENGTHS)
    for row in rows_of(trace)[1:]:
        quantity, low, mean, high = row[-7], *row[-3:]
        values = torch.cat([trace["l0"].sequence(quantity, b) for b in range(5)]).detach().float()
        assert float(low) == pytest.approx(float(values.min()), abs=6e-4)
        assert float(mean) == pytest.approx(float(values.mean()), abs=6e-4)
        assert float(high) == pytest.approx(float(values.max()), abs=6e-4)
    assert all("(6, 5, 4)" in line for line in str(trace).splitlines()[1:])


def test_every_layer_and_every_call_has_its_rows():
    layer = nn.GRU(3, 4, num_layers=2, bidirectional=True)
    with glasscell.trace(layer) as trace:
        layer(torch.randn(6, 5, 3))
        layer(torch.randn(2, 5, 3))
    starts = [row[0] for row in rows_of(trace) if row[0].startswith("l") and row[0] != "layer"]
    assert sorted(starts) == sorted(["l0", "l0_reverse", "l1", "l1_reverse"] * 2)
    assert str(trace).count("(2, 5, 4)") == 4 * 4
