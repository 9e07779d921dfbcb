"""Running a layer of ours beside another library's, and comparing two of ours."""

from typing import Any

import numpy as np
import torch
from tests.tolerances import assert_close, assert_same_bits
from torch import Tensor

import glasscell
from glasscell import cells

NAMES = ("output", "h_n", "c_n")


def layer_of(
    cell: str | cells.Cell,
    I: int,
    H: int,
    dtype: torch.dtype = torch.float32,
    **options: Any,
) -> Any:
    """A layer of that cell with weights far from zero, so that what is mixed up shows."""
    layer = glasscell.Recurrent(I, H, cell=cell, dtype=dtype, **options)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.uniform_(-0.8, 0.8)
    return layer


def states_of(layer: Any, B: int) -> Any:
    """Random initial states for a layer."""
    LD = layer.num_layers * (2 if layer.bidirectional else 1)
    shape, dtype = (LD, B, layer.hidden_size), layer.weight_ih_l0.dtype
    h_0 = torch.randn(shape, dtype=dtype)
    return (h_0, torch.randn(shape, dtype=dtype)) if layer.cell.has_cell_state else h_0


def flat(states: Any) -> list[Tensor]:
    """h, or h and c."""
    return [*states] if isinstance(states, tuple) else [states]


def ran(layer: Any, *args: Any, **options: Any) -> list[Tensor]:
    """Output and last states."""
    with torch.no_grad():
        output, last = layer(*args, **options)
    return [output, *flat(last)]


def as_tensor(found: Any) -> Tensor:
    return found.detach() if isinstance(found, Tensor) else torch.from_numpy(np.array(found))


def assert_agree(mine: list[Tensor], theirs: list[Any], rounded: torch.dtype | None = None) -> None:
    """Compares outputs and states; `rounded` is the dtype that rounds, where it is not theirs."""
    assert len(mine) == len(theirs)
    for a, b, name in zip(mine, theirs, NAMES, strict=False):
        assert_close(a, as_tensor(b), name, dtype=rounded)


def assert_same_layer(found: Any, layer: Any) -> None:
    """The same cell, and the same weights to the bit."""
    assert found.cell == layer.cell
    mine, theirs = found.state_dict(), layer.state_dict()
    assert list(mine) == list(theirs)
    for name, weight in theirs.items():
        assert_same_bits(mine[name], weight, name)
