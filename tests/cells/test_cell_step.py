"""One step of every cell, against the independent equations and PyTorch's own cells."""

import numpy as np
import pytest
import torch
from tests.cells.zoo import RELU_RNN, SUBJECTS, as_numpy, independent
from tests.tolerances import assert_close

from glasscell.cells import GRU, LSTM, RNN, Weights

B, I, H = 5, 3, 4


def states(subject, dtype=torch.float64):
    """x, h_{t-1} and c_{t-1} or None."""
    x = torch.randn(B, I, dtype=dtype)
    h = torch.randn(B, subject.P(H), dtype=dtype)
    return x, h, torch.randn(B, H, dtype=dtype) if subject.cell.has_cell_state else None


@pytest.mark.parametrize("name", SUBJECTS)
def test_a_step_follows_the_equations(name):
    subject = SUBJECTS[name]
    w = subject.weights(I, H)
    x, h, c = states(subject)
    step = subject.cell.step(x, h, c, w)
    oracle = as_numpy(independent(subject.cell, w))
    expected = oracle.step(x.numpy(), h.numpy(), None if c is None else c.numpy())
    for quantity in ("pre", "gates", "h", "c"):
        array = getattr(expected, quantity)
        tensor = None if array is None else torch.from_numpy(np.ascontiguousarray(array))
        assert_close(getattr(step, quantity), tensor, quantity)


@pytest.mark.parametrize("name", SUBJECTS)
def test_gates_are_the_activated_preactivations(name):
    subject = SUBJECTS[name]
    step = subject.cell.step(*states(subject), subject.weights(I, H))
    assert_close(subject.cell.activate(step.pre), step.gates)


@pytest.mark.parametrize("name", [n for n, s in SUBJECTS.items() if "peephole" not in n])
def test_preactivations_need_no_state_but_h(name):
    subject = SUBJECTS[name]
    w = subject.weights(I, H)
    x, h, c = states(subject)
    step = subject.cell.step(x, h, c, w)
    pre, q = subject.cell.preactivations(x, h, w)
    assert_close(pre, step.pre, "pre")
    assert_close(q, step.q, "q")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize(
    ("cell", "theirs"),
    [
        (LSTM(), torch.nn.LSTMCell(I, H)),
        (LSTM(), torch.nn.LSTMCell(I, H, bias=False)),
        (GRU(), torch.nn.GRUCell(I, H)),
        (GRU(), torch.nn.GRUCell(I, H, bias=False)),
        (RNN(), torch.nn.RNNCell(I, H)),
        (RELU_RNN, torch.nn.RNNCell(I, H, nonlinearity="relu")),
        (RNN(), torch.nn.RNNCell(I, H, bias=False)),
    ],
    ids=["lstm", "lstm-nobias", "gru", "gru-nobias", "rnn-tanh", "rnn-relu", "rnn-nobias"],
)
def test_a_step_is_pytorchs(cell, theirs, dtype):
    theirs = theirs.to(dtype)
    w = Weights(theirs.weight_ih, theirs.weight_hh, theirs.bias_ih, theirs.bias_hh)
    x, h, c = (torch.randn(B, size, dtype=dtype) for size in (I, H, H))
    if cell.has_cell_state:
        expected_h, expected_c = theirs(x, (h, c))
    else:
        expected_h, expected_c, c = theirs(x, h), None, None
    step = cell.step(x, h, c, w)
    assert_close(step.h, expected_h, "h")
    assert_close(step.c, expected_c, "c")


@pytest.mark.parametrize("name", SUBJECTS)
def test_gradcheck_of_a_step(name):
    subject = SUBJECTS[name]
    w = subject.weights(2, 4)
    x, h, c = torch.randn(2, 2).double(), torch.randn(2, subject.P(4)).double(), None
    if subject.cell.has_cell_state:
        c = torch.randn(2, 4, dtype=torch.float64)
    inputs: list = [x, h, c, *w]
    inputs = [t if t is None else t.detach().requires_grad_() for t in inputs]

    def run(x, h, c, *weights):
        step = subject.cell.step(x, h, c, Weights(*weights))
        return tuple(t for t in (step.h, step.c, step.gates, step.pre) if t is not None)

    assert torch.autograd.gradcheck(run, inputs)
