"""The native engine: C++ kernels for the CPU that keep every gate of every step.

The kernels (`src/glasscell/native/`) take packed tokens and give back the steps; here their
tensors are checked, allocated and handed over by address. Weights are packed into the kernels'
own layout once, and the packed form is kept for as long as the weights stay what they were.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, RNN, SLSTM, Cell, NormalisedLSTM
from glasscell.engines.boundary import INPUTS, bounded
from glasscell.engines.call import Call, Record, StepGradients, Steps
from glasscell.engines.native_call import (
    addresses_of,
    chance_of,
    mask_of,
    needs_pre,
    read_of,
    sizes_of,
    tables_of,
    width_of_q,
)
from glasscell.engines.native_checks import check_inputs, check_steps
from glasscell.engines.packed import (
    DTYPES,
    KINDS,
    SQUASHES,
    address,
    contiguous,
    kernels,
    kernels_weights,
    packed,
)
from glasscell.engines.precision import dtype_of_run, in_one_dtype
from glasscell.engines.transforms import active_transform


class NativeEngine:
    name = "native"

    def refuses(self, call: Call) -> str | None:
        if kernels() is None:
            return "the kernels were not compiled when Glasscell was installed"
        if call.x.device.type != "cpu":
            return f"its kernels are for the CPU, and the tensors are on {call.x.device.type}"
        if transform := active_transform(call.tensors()):
            return f"its kernels do not run under {transform}"
        return _refuses_cell(call.cell) or _refuses_dtype(dtype_of_run(call))

    def run(self, call: Call) -> Record:
        call = in_one_dtype(call)
        if needs_gradient(call):
            steps = bounded(call, self)
            c = None if steps.c is None else steps.c.to(call.x.dtype)
            return Record.of(call, steps.h, c, steps.gates, steps.pre)
        (h, c, gates, pre, _), h_n, c_n = forward(call, keep=call.record)
        return Record(h, h_n, c_n, None if c is None else c.to(call.x.dtype), gates, pre)

    def step(self, call: Call) -> tuple[Tensor, Tensor | None]:
        record = self.run(call)
        return record.h, record.c_n

    def forward(self, call: Call) -> Steps:
        return forward(call, keep=True)[0]

    def backward(
        self, call: Call, steps: Steps, grads: Steps, needed: tuple[bool, ...], of_steps: bool
    ) -> tuple[tuple[Tensor | None, ...], StepGradients | None]:
        return backward(call, steps, grads, needed, of_steps)

    def step_gradients(self, call: Call, steps: Steps, grads: Steps) -> StepGradients:
        _, found = backward(call, steps, grads, (False,) * INPUTS, of_steps=True)
        assert found is not None
        return found


def _refuses_cell(cell: Cell) -> str | None:
    if (type(cell), cell.G) not in KINDS:
        return f"it has no kernel for {cell.noun}"
    if isinstance(cell, GRU):
        if not cell.reset_after:
            return "its kernels do one product a step; a reset gate before the product takes two"
        if (cell.reset_gate is None) == bool(cell.gates_in("U")):
            return "its kernels run a GRU without a reset gate only where no gate reads h"
    exponential = ("input_gate", "forget_gate") if isinstance(cell, SLSTM) else ()
    squashes = [gate.squash for gate in cell.gates if gate.name not in exponential]
    if isinstance(cell, (LSTM, NormalisedLSTM)):
        squashes.append(cell.output_squash)
    for squash in squashes:
        if squash not in SQUASHES:
            return f"its kernels do not know the squash {squash.name}"
    if isinstance(cell, RNN) and cell.is_stochastic:
        return "its kernels draw gates, and no hidden states"
    return None


def _refuses_dtype(dtype: torch.dtype) -> str | None:
    if dtype not in DTYPES:
        return f"its kernels compute float32, float64 and bfloat16, not {dtype}"
    return None


def needs_gradient(call: Call) -> bool:
    return torch.is_grad_enabled() and any(
        tensor is not None and tensor.requires_grad for tensor in call.tensors()
    )


def forward(call: Call, *, keep: bool) -> tuple[Steps, Tensor, Tensor | None]:
    """All steps, and the last states h_n (B, P) and c_n (B, H).

    Args:
        keep: whether gates, cell states and what the backward needs are written down.
    """
    check_inputs(call)
    cell, w, x, packing, h_0, c_0, reverse, record, *_ = call
    x, h_0, c_0 = contiguous(x), contiguous(h_0), contiguous(c_0)
    N, B, G, C = packing.N, packing.B, cell.G, cell.C
    H, P = call.H, w.U.shape[1]

    h = x.new_empty(N, P)
    h_n = x.new_empty(B, P)
    c_n = x.new_empty(B, C * H) if cell.has_cell_state else None
    c = gates = pre = q = None
    if keep:
        exact = torch.promote_types(x.dtype, torch.float32)
        c = x.new_empty(N, C * H, dtype=exact) if cell.has_cell_state else None
        gates = x.new_empty(N, G, H)
        q = x.new_empty(N, width) if (width := width_of_q(call)) else None
    if record or (keep and needs_pre(call)):
        pre = x.new_empty(N, G, H)
    sizes = sizes_of(call)
    inputs = [address(x), address(h_0), address(c_0)]
    outputs = [address(tensor) for tensor in (h, c, gates, pre, q, h_n, c_n)]
    tables, mask = tables_of(call), mask_of(call)
    packed(cell, w).forward(
        packing.T,
        B,
        N,
        address(sizes),
        reverse,
        inputs,
        outputs,
        addresses_of(tables),
        chance_of(call, mask),
        torch.get_num_threads(),
    )
    return Steps(h=h, c=c, gates=gates, pre=pre, q=q), h_n, c_n


def backward(
    call: Call,
    steps: Steps,
    grads: Steps,
    needed: tuple[bool, ...],
    of_steps: bool,
) -> tuple[tuple[Tensor | None, ...], StepGradients | None]:
    """dL/d(x, h_0, c_0 and each weight) that is needed, from dL/d(h, c, gates, pre) of every step;
    and, if `of_steps`, dL/dh_t, dL/dc_t and dL/dgate_t.
    """
    check_inputs(call)
    check_steps(call, steps, "")
    check_steps(call, grads, "dL/d")
    inputs = [contiguous(t) for t in (call.x, call.h_0, call.c_0)]
    pre = steps.pre if needs_pre(call) else None
    kept = [contiguous(t) for t in (steps.h, steps.c, steps.gates, steps.q, pre)]
    saved = [*inputs, *kept, *read_of(call, kept[0], inputs[1])]  # type: ignore[arg-type]
    given = [contiguous(t) for t in (grads.h, grads.c, grads.gates, grads.pre)]
    found = [
        torch.empty_like(tensor, memory_format=torch.contiguous_format)
        if tensor is not None and wanted
        else None
        for tensor, wanted in zip(call.tensors()[:INPUTS], needed, strict=True)
    ]
    found_steps = None
    if of_steps:
        assert steps.gates is not None
        found_steps = StepGradients(
            h=torch.empty_like(steps.h, memory_format=torch.contiguous_format),
            c=None
            if steps.c is None
            else torch.empty_like(steps.c, memory_format=torch.contiguous_format),
            gates=torch.empty_like(steps.gates, memory_format=torch.contiguous_format),
        )
    weights = [contiguous(t) for t in call.weights]
    packing = call.packing
    sizes, tables, mask = sizes_of(call), tables_of(call), mask_of(call)
    packed(call.cell, call.weights).backward(
        packing.T,
        packing.B,
        packing.N,
        address(sizes),
        call.reverse,
        kernels_weights(weights),
        [address(t) for t in saved],
        [address(t) for t in given],
        [*(address(t) for t in found[:3]), *kernels_weights(found[3:])],
        [address(t) for t in found_steps or (None, None, None)],
        addresses_of(tables),
        chance_of(call, mask),
        torch.get_num_threads(),
    )
    return tuple(found), found_steps


def one_stepper(calls: list[Call]) -> Callable[[Tensor], Tensor]:
    """A function that takes one step of stacked layers, x (B, I) to the last one's h (B, P).

    The states h_0 and c_0 of the calls are moved on in place: nothing is looked up, checked or
    allocated between steps but the result.
    """
    module = kernels()
    assert module is not None
    for call in calls:
        check_inputs(call)
    B, P = calls[-1].h_0.shape
    states = [(call.h_0, call.c_0) for call in calls]
    assert all(t is None or t.is_contiguous() for state in states for t in state)
    stepper = module.Stepper(
        [packed(call.cell, call.weights) for call in calls],
        B,
        [address(h) for h, _ in states],
        [address(c) for _, c in states if c is not None],
        torch.get_num_threads(),
    )

    def step(x: Tensor) -> Tensor:
        x = contiguous(x)
        y = x.new_empty(B, P)
        stepper.step(x.data_ptr(), y.data_ptr())
        return y

    return step
