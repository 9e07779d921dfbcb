"""The examples in docstrings, run as they stand.

Each begins with the names below: layers and a model with weights drawn from a fixed seed, an
input that they read, and a folder of its own to write to.
"""

import doctest
import importlib
import pkgutil
from typing import Any

import pytest
import torch
from torch import nn

import glasscell
from glasscell import analysis, plots

OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
FINDER = doctest.DocTestFinder(exclude_empty=True)


class Model(nn.Module):
    """Two layers inside a model: what "encoder.l0" and "encoder.l1" name."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = glasscell.LSTM(3, 128, num_layers=2)
        self.head = nn.Linear(128, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.encoder(x)[0])


def examples() -> list[doctest.DocTest]:
    found = []
    for module in pkgutil.walk_packages(glasscell.__path__, "glasscell."):
        if not module.name.startswith(("glasscell.cli", "glasscell._")):
            tests = FINDER.find(importlib.import_module(module.name))
            found += [test for test in tests if test.examples]
    return found


def names() -> dict[str, Any]:
    torch.manual_seed(0)
    lstm, gru, rnn = glasscell.LSTM(3, 8), glasscell.GRU(3, 8), glasscell.RNN(3, 8)
    x = torch.randn(35, 4, 3)  # (T, B, I)
    with glasscell.trace(lstm) as trace:
        lstm(x)
    return {
        "torch": torch,
        "glasscell": glasscell,
        "analysis": analysis,
        "plots": plots,
        "lstm": lstm,
        "gru": gru,
        "rnn": rnn,
        "model": Model(),
        "x": x,
        "trace": trace,
    }


@pytest.mark.parametrize("example", examples(), ids=lambda example: example.name)
def test_example(example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    example.globs = names()
    printed: list[str] = []
    result = doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=printed.append)
    assert result.failed == 0, "".join(printed)
