"""Tensors that are not what a call's sizes say never reach the kernels, which see bare addresses.

Layers check their callers' arguments; this is what stands behind them.
"""

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import LETTERS, call_of, everything, leaves
from tests.engines.subjects import NEEDS_KERNELS
from tests.tolerances import assert_close

from glasscell import ops
from glasscell.engines import ENGINES, Packing
from glasscell.engines.native import NativeEngine

CASES = [
    pytest.param(name, k, id=f"{name}-{letter}")
    for name in ("lstm-peepholes", "lstm-projected", "gru", "rnn-tanh")
    for k, letter in enumerate(LETTERS)
    if leaves(name, [2, 1], 3, 4)[k] is not None
]

pytestmark = NEEDS_KERNELS


def inputs(name, dtype=torch.float64):
    return leaves(name, [2, 1], 5, 7, dtype)


def refused(name, tensors) -> None:
    call = call_of(name, tensors, [2, 1])
    if ENGINES["native"].refuses(call) is None:
        with pytest.raises(ValueError):
            ENGINES["native"].run(call)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_a_tensor_of_another_size(name, k):
    for change in (lambda t: t[:-1], lambda t: torch.cat((t, t)), lambda t: t[..., None]):
        tensors = inputs(name)
        tensors[k] = change(tensors[k].detach())
        refused(name, tensors)
    tensors = inputs(name)
    if len(set(tensors[k].shape)) == 2:
        tensors[k] = tensors[k].detach().mT
        refused(name, tensors)


@pytest.mark.parametrize(("name", "k"), CASES)
def test_a_tensor_of_another_dtype_or_device(name, k):
    tensors = inputs(name)
    tensors[k] = tensors[k].detach().to("meta")
    refused(name, tensors)
    tensors = inputs(name, torch.float32)
    tensors[k] = tensors[k].detach().double()
    call = call_of(name, tensors, [2, 1])
    if LETTERS[k] in ("x", "W"):  # their dtypes say what the run's is
        assert ENGINES["native"].run(call).h.dtype == torch.float64
    else:
        assert ENGINES["native"].run(call).h.dtype == torch.float32


@pytest.mark.parametrize(("name", "k"), CASES)
def test_a_tensor_that_is_missing(name, k):
    tensors = inputs(name)
    if LETTERS[k] in ("b_x", "b_h"):
        tensors[k] = None
        assert ENGINES["native"].run(call_of(name, tensors, [2, 1])).h.isfinite().all()
    elif LETTERS[k] in ("c_0", "V", "p"):
        tensors[k] = None
        refused(name, tensors)


@pytest.mark.parametrize("field", ["h", "c", "gates", "pre", "q"])
@pytest.mark.parametrize("which", ["steps", "gradients"])
def test_steps_and_gradients_of_another_size_or_dtype(which, field):
    native, name = NativeEngine(), "gru" if field == "q" else "lstm"
    call = call_of(name, inputs(name), [2, 1])._replace(record=True)
    with torch.no_grad():
        steps = native.forward(call)
    right = getattr(steps, field)
    needed = (True,) * len(call.tensors())
    grads = steps._replace(q=None)
    native.backward(call, steps, grads, needed, False)
    for wrong in (right[:-1], right[..., :-1], right.float()):
        of_steps = which == "steps"
        given = steps._replace(**{field: wrong}) if of_steps else steps
        ds = grads if of_steps else grads._replace(**{field: wrong})
        with pytest.raises(ValueError, match=f"{field}: expected"):
            native.backward(call, given, ds, needed, False)


def test_more_tokens_or_sequences_than_there_are():
    call = call_of("lstm", leaves("lstm", [3, 2], 3, 4), [3, 2])
    for sizes in ((2, 2, 2), (3, 2), (2, 2), (1,) * 5, (5,)):
        with pytest.raises(ValueError):
            ENGINES["native"].run(call._replace(packing=Packing(sizes)))


@pytest.mark.parametrize("name", SUBJECTS)
def test_no_inputs_and_no_sequences_at_all(name):
    """Layers refuse the first, as torch.nn does, and let the second through."""
    tensors = leaves(name, [3, 2], 0, 4)
    found, expected = (everything(e, name, tensors, [3, 2]) for e in ("native", "reference"))
    for key, value in expected.items():
        assert_close(found[key], value, key)

    x, h_0, c_0, *weights = leaves(name, [1], 3, 4)
    none = [None if t is None else t.detach()[:0].requires_grad_() for t in (x, h_0, c_0)]
    call = call_of(name, [*none, *weights], [])._replace(packing=Packing((0, 0)))
    record = ops.run(call, "native")
    assert record.h.shape[0] == record.h_n.shape[0] == 0
    (dW,) = torch.autograd.grad(record.h.sum(), weights[0])
    assert (dW == 0).all()
