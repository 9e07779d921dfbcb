"""First and second derivatives by finite differences, for engines that write their backward out."""

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import TARGETS, call_of, gradients, leaves, loss_on
from tests.engines.subjects import NAMES
from tests.tolerances import assert_close
from torch import Tensor

from glasscell import ops

LENGTHS = [3, 2, 1]
WRITTEN_OUT = [name for name in NAMES if name != "torch"]

pytestmark = [
    pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"]),
    pytest.mark.parametrize("name", SUBJECTS),
    pytest.mark.parametrize("engine", WRITTEN_OUT),
]


def recorded(engine: str, name: str, reverse: bool):
    """The engine as a function of the tensors that are there, and those tensors."""
    tensors = leaves(name, LENGTHS, 2, 3)
    given = [t for t in tensors if t is not None]

    def run(*values: Tensor) -> tuple[Tensor, ...]:
        rest = iter(values)
        whole = [None if t is None else next(rest) for t in tensors]
        record = ops.run(call_of(name, whole, LENGTHS, reverse), engine)
        found = (getattr(record, target) for target in TARGETS)
        return tuple(t for t in found if t is not None)

    return run, given


def test_gradcheck(engine, name, reverse):
    assert torch.autograd.gradcheck(*recorded(engine, name, reverse), fast_mode=True)


def test_gradgradcheck(engine, name, reverse):
    assert torch.autograd.gradgradcheck(*recorded(engine, name, reverse), fast_mode=True)


def test_a_gradient_with_a_graph_is_the_gradient_without(engine, name, reverse):
    """With the loss on each quantity of the record alone, and on all of them."""
    tensors = leaves(name, LENGTHS, 2, 19)
    record = ops.run(call_of(name, tensors, LENGTHS, reverse), engine)
    ds = loss_on(record)
    for targets in (*((target,) for target in ds), tuple(ds)):
        some = {target: ds[target] for target in targets}
        plain = gradients(record, some, tensors)
        with_graph = gradients(record, some, tensors, create_graph=True)
        assert any(gradient.requires_grad for gradient in with_graph.values())
        for letter, gradient in plain.items():
            assert_close(with_graph[letter], gradient, f"dL/d{letter}", kind="gradient")
