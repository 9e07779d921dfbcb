"""Calls of any size for the tests of engines: their tensors, their gradients, and exact copies."""

from typing import Any

import torch
from tests.cells.zoo import SUBJECTS
from tests.tolerances import assert_same_bits
from torch import Tensor

from glasscell import ops
from glasscell.cells import Weights
from glasscell.engines import Call, Packing, Record

LETTERS = ("x", "h_0", "c_0", *Weights._fields)  # as in Call.tensors()
TARGETS = ("h", "c", "gates", "pre", "h_n", "c_n")  # as in Record

Leaves = list[Any]  # tensors in the order of LETTERS, None where a cell has none


def leaves(
    name: str,
    lengths: list[int],
    I: int,
    H: int,
    dtype: torch.dtype = torch.float64,
    P: int | None = None,
) -> Leaves:
    """Random CPU leaves for a cell of the zoo, with values that `dtype` represents exactly."""
    subject = SUBJECTS[name]
    P = P if P and subject.projection else subject.P(H)
    N, B = sum(lengths), len(lengths)
    x, h_0 = torch.randn(N, I), torch.randn(B, P)
    c_0 = torch.randn(B, H) if subject.cell.has_cell_state else None
    tensors = [x, h_0, c_0, *subject.weights(I, H, P=P)]
    return [t if t is None else t.detach().to(dtype).requires_grad_() for t in tensors]


def call_of(
    name: str, tensors: Leaves, lengths: list[int], reverse: bool = False, record: bool = True
) -> Call:
    x, h_0, c_0, *weights = tensors
    packing = Packing.from_lengths(torch.tensor(lengths, dtype=torch.int64))
    return Call(SUBJECTS[name].cell, Weights(*weights), x, packing, h_0, c_0, reverse, record)


def exact(tensors: Leaves) -> Leaves:
    """The same numbers in float64, as leaves that want the same gradients."""
    return [
        t if t is None else t.detach().double().contiguous().requires_grad_(t.requires_grad)
        for t in tensors
    ]


def loss_on(
    record: Record,
    targets: tuple[str, ...] = TARGETS,
    generator: torch.Generator | None = None,
) -> dict[str, Tensor]:
    """dL/d(each target that is there): a loss that reaches every element in its own way."""
    found = {target: getattr(record, target) for target in targets}
    return {
        target: torch.randn(t.shape, generator=generator).to(t)
        for target, t in found.items()
        if t is not None
    }


def gradients(
    record: Record, ds: dict[str, Tensor], inputs: Leaves, create_graph: bool = False
) -> dict[str, Tensor]:
    """By letter, for the inputs that want one; zeros where the loss does not reach."""
    named = {k: t for k, t in zip(LETTERS, inputs, strict=True) if t is not None}
    named = {letter: tensor for letter, tensor in named.items() if tensor.requires_grad}
    outputs = [getattr(record, target) for target in ds]
    found = torch.autograd.grad(
        outputs,
        list(named.values()),
        list(ds.values()),
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    return {
        letter: torch.zeros_like(tensor) if gradient is None else gradient
        for (letter, tensor), gradient in zip(named.items(), found, strict=True)
    }


def everything(
    engine: str, name: str, tensors: Leaves, lengths: list[int], reverse: bool = False
) -> dict[str, Tensor]:
    """All that a recorded run gives back, and every gradient, "dx", "dU", ...; always the same."""
    record = ops.run(call_of(name, tensors, lengths, reverse), engine)
    values = {target: getattr(record, target) for target in TARGETS}
    found = {target: value.detach() for target, value in values.items() if value is not None}
    ds = loss_on(record, generator=torch.Generator().manual_seed(1))
    return {**found, **{f"d{k}": d for k, d in gradients(record, ds, tensors).items()}}


def assert_same_in_every_bit(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert_same_bits(found[key], value, key)


def has_a_jump(name: str, dtype: torch.dtype) -> bool:
    """Whether rounding alone may change a gradient: relu's slope jumps at 0."""
    return name == "rnn-relu" and dtype.itemsize == 2
