"""The reference engine: its written-out backward, and differentiating more than once."""

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.tolerances import assert_close

from glasscell.cells import Weights
from glasscell.engines import Call, Packing
from glasscell.engines.boundary import bounded
from glasscell.engines.reference import ReferenceEngine
from glasscell.engines.unrolled import unrolled

LENGTHS = {"dense": [3, 3], "ragged": [3, 2, 1]}
I, H = 2, 3


def inputs(name: str, lengths: list[int]) -> list:
    subject, B = SUBJECTS[name], len(lengths)
    c_0 = torch.randn(B, H) if subject.cell.has_cell_state else None
    tensors = [torch.randn(sum(lengths), I), torch.randn(B, subject.P(H)), c_0]
    tensors += subject.weights(I, H)
    return [t if t is None else t.detach().double().requires_grad_() for t in tensors]


def packing_of(lengths: list[int]) -> Packing:
    return Packing.from_lengths(torch.tensor(lengths))


def as_one_node(call: Call):
    return bounded(call, ReferenceEngine())


def call_of(name: str, packing: Packing, reverse: bool, tensors: list) -> Call:
    x, h_0, c_0, *weights = tensors
    return Call(SUBJECTS[name].cell, Weights(*weights), x, packing, h_0, c_0, reverse)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", SUBJECTS)
def test_the_boundary_and_the_unrolled_steps_agree(name, lengths, reverse):
    packing = packing_of(LENGTHS[lengths])
    tensors = inputs(name, LENGTHS[lengths])
    wanted = [t for t in tensors if t is not None]
    results = []
    for run in (as_one_node, unrolled):
        steps = run(call_of(name, packing, reverse, tensors))
        outputs = [t for t in steps[:4] if t is not None]
        torch.manual_seed(1)
        grads = torch.autograd.grad(outputs, wanted, [torch.randn_like(t) for t in outputs])
        results.append((outputs, grads))
    (outputs, grads), (plain_outputs, plain_grads) = results
    for a, b in zip(outputs, plain_outputs, strict=True):
        assert torch.equal(a, b)
    for a, b in zip(grads, plain_grads, strict=True):
        assert_close(a, b, kind="gradient")


def test_a_second_derivative_follows_a_path_between_the_inputs_once():
    """h_0 made from x: the path from one to the other belongs to the caller's graph."""
    name, lengths = "lstm", [2, 2]
    x, _, c_0, *weights = inputs(name, lengths)
    packing = packing_of(lengths)

    def loss(x, run):
        h_0 = torch.tanh(torch.cat((x[:2], x[:2, :1]), 1))
        h, c, gates, *_ = run(call_of(name, packing, False, [x, h_0, c_0, *weights]))
        return (h.sum() * c.square().sum() + gates.pow(3).sum()) ** 2

    found = []
    for run in (as_one_node, unrolled):
        (first,) = torch.autograd.grad(loss(x, run), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), [x, weights[0]]))
    for a, b in zip(*found, strict=True):
        assert_close(a, b, kind="gradient")


def test_only_what_is_asked_for_gets_a_gradient():
    tensors = inputs("lstm", [3, 2])
    for k in (1, 4):  # h_0 and U
        tensors[k] = tensors[k].detach()
    steps = as_one_node(call_of("lstm", packing_of([3, 2]), False, tensors))
    steps[0].sum().backward()
    assert tensors[1].grad is None
    assert tensors[4].grad is None
    assert tensors[0].grad is not None


def test_one_boundary_a_sequence():
    tensors = inputs("lstm", [3, 2])
    steps = as_one_node(call_of("lstm", packing_of([3, 2]), False, tensors))
    nodes = {step.grad_fn for step in steps if step is not None and step.grad_fn is not None}
    assert len(nodes) == 1
    assert {type(fn).__name__ for fn, _ in nodes.pop().next_functions if fn} == {"AccumulateGrad"}
