"""dL/dh_t, dL/dc_t and dL/dgate_t of every step, against autograd through the equations."""

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines.subjects import ENGINES
from tests.tolerances import assert_close
from torch import Tensor

from glasscell.cells import Step, Weights
from glasscell.engines import ENGINES as TABLE
from glasscell.engines import Call, Packing
from glasscell.engines.call import Steps

LENGTHS = [5, 5, 3, 1]
WRITTEN = [engine.name for engine in ENGINES if hasattr(TABLE[engine.name], "step_gradients")]


def call_of(name: str, dtype: torch.dtype, reverse: bool) -> Call:
    subject, I, H = SUBJECTS[name], 3, 18
    given = [None if w is None else w.detach().to(dtype) for w in subject.weights(I, H)]
    weights = Weights(*given)  # type: ignore[arg-type]
    B = len(LENGTHS)
    return Call(
        cell=subject.cell,
        weights=weights,
        x=torch.randn(sum(LENGTHS), I, dtype=dtype),
        packing=Packing.from_lengths(torch.tensor(LENGTHS)),
        h_0=torch.randn(B, subject.P(H), dtype=dtype),
        c_0=torch.randn(B, H, dtype=dtype) if subject.cell.has_cell_state else None,
        reverse=reverse,
        record=True,
    )


def sequence_by_sequence(call: Call, ds: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same gradients in plain autograd: a leaf is added to every state of every step, so that
    its gradient is that of the state itself.
    """
    found = {name: torch.zeros_like(d) for name, d in ds.items()}
    lengths, offsets = call.packing.lengths.tolist(), call.packing.offsets
    for b, length in enumerate(lengths):
        rows = [offsets[t] + b for t in range(length)]
        rows = rows[::-1] if call.reverse else rows
        h, c = call.h_0[b : b + 1], None if call.c_0 is None else call.c_0[b : b + 1]
        loss, leaves = torch.zeros((), dtype=call.x.dtype), []
        for n in rows:
            h_leaf = torch.zeros_like(h, requires_grad=True)
            c_leaf = None if c is None else torch.zeros_like(c, requires_grad=True)
            step: Step = call.cell.step(call.x[n : n + 1], h, c, call.weights)
            h = step.h + h_leaf
            loss = loss + (h * ds["h"][n]).sum() + (step.gates * ds["gates"][n]).sum()
            if step.c is not None and c_leaf is not None:
                c = step.c + c_leaf
                loss = loss + (c * ds["c"][n]).sum()
            leaves.append((n, h_leaf, c_leaf))
        for n, h_leaf, c_leaf in leaves:
            wanted = [h_leaf] if c_leaf is None else [h_leaf, c_leaf]
            grads = torch.autograd.grad(loss, wanted, retain_graph=True)
            found["h"][n] = grads[0][0]
            if c_leaf is not None:
                found["c"][n] = grads[1][0]
    return found


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", SUBJECTS)
@pytest.mark.parametrize("engine", WRITTEN)
def test_states_against_autograd(engine, name, reverse):
    call = call_of(name, torch.float64, reverse)
    steps = TABLE[engine].forward(call)  # type: ignore[attr-defined]
    ds = {"h": torch.randn_like(steps.h), "gates": torch.randn_like(steps.gates)}
    if steps.c is not None:
        ds["c"] = torch.randn_like(steps.c)
    grads = Steps(ds["h"], ds.get("c"), ds["gates"], None, None)
    found = TABLE[engine].step_gradients(call, steps, grads)  # type: ignore[attr-defined]
    expected = sequence_by_sequence(call, ds)
    assert_close(found.h, expected["h"], "dL/dh_t", kind="gradient")
    if call.c_0 is None:
        assert found.c is None
    elif not any(gate.peephole == "c" for gate in call.cell.gates):
        # c_t reaches h_t through a leaf put after the step, so only what later steps see of it
        # counts there; the part through h_t is o * tanh'(c_t) * dL/dm_t.
        through_h = _through_hidden(call, steps, found.h)
        assert_close(found.c, expected["c"] + through_h, "dL/dc_t", kind="gradient")


def _through_hidden(call: Call, steps: Steps, dh: Tensor) -> Tensor:
    """(N, H) what dL/dh_t puts on c_t through h_t = V (o_t * tanh(c_t))."""
    dm = dh if call.weights.V is None else dh @ call.weights.V
    assert steps.gates is not None
    assert steps.c is not None
    o, c = steps.gates[:, 3], steps.c
    return dm * o * (1 - c.tanh() ** 2)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", [name for name, each in SUBJECTS.items() if each.bias])
@pytest.mark.parametrize("engine", WRITTEN)
def test_gates_follow_from_pre_activations(engine, name, reverse):
    """dL/dgate times its slope is dL/dpre, which the bias sums up."""
    call = call_of(name, torch.float64, reverse)
    steps = TABLE[engine].forward(call)  # type: ignore[attr-defined]
    grads = Steps(torch.randn_like(steps.h), None, torch.randn_like(steps.gates), None, None)
    found = TABLE[engine].step_gradients(call, steps, grads)  # type: ignore[attr-defined]
    slopes = torch.stack(
        [gate.squash.slope(steps.gates[:, k]) for k, gate in enumerate(call.cell.gates)], 1
    )
    needed = tuple(t is not None for t in call.tensors())
    inputs, _ = TABLE[engine].backward(call, steps, grads, needed, False)  # type: ignore[attr-defined]
    assert_close((found.gates * slopes).sum(0).flatten(), inputs[5], "dL/db_x", kind="gradient")
