"""The native engine: C++ kernels for the CPU that keep every gate of every step.

The kernels (`src/glasscell/native/`) take packed tokens and give back the steps; here their
tensors are checked, allocated and handed over by address. Weights are packed into the kernels'
own layout once, and the packed form is kept for as long as the weights stay what they were.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from glasscell.cells import GRU, LSTM, RNN, SLSTM, Cell, NormalisedGRU, NormalisedLSTM
from glasscell.engines.boundary import INPUTS, bounded
from glasscell.engines.call import Call, Record, StepGradients, Steps
from glasscell.engines.noise import of_tokens
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
from glasscell.errors import InputError


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
        q = x.new_empty(N, width) if (width := _width_of_q(call)) else None
    if record or (keep and _needs_pre(call)):
        pre = x.new_empty(N, G, H)
    sizes = _sizes(call)
    inputs = [address(x), address(h_0), address(c_0)]
    outputs = [address(tensor) for tensor in (h, c, gates, pre, q, h_n, c_n)]
    tables, mask = _tables(call), _mask(call)
    packed(cell, w).forward(
        packing.T,
        B,
        N,
        address(sizes),
        reverse,
        inputs,
        outputs,
        _addresses(tables),
        _chance(call, mask),
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
    _check_steps(call, steps, "")
    _check_steps(call, grads, "dL/d")
    inputs = [contiguous(t) for t in (call.x, call.h_0, call.c_0)]
    pre = steps.pre if _needs_pre(call) else None
    kept = [contiguous(t) for t in (steps.h, steps.c, steps.gates, steps.q, pre)]
    saved = [*inputs, *kept, *_read(call, kept[0], inputs[1])]  # type: ignore[arg-type]
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
    sizes, tables, mask = _sizes(call), _tables(call), _mask(call)
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
        _addresses(tables),
        _chance(call, mask),
        torch.get_num_threads(),
    )
    return tuple(found), found_steps


def check_inputs(call: Call) -> None:
    """Raises where a tensor is not what the call says: kernels are given bare addresses.

    The weights are looked at when they are packed.
    """
    cell, w, x, packing, h_0, c_0, _, _, edits, *_ = call
    I, H, P = w.W.shape[1], call.H, w.U.shape[1]
    B, dtype = packing.B, w.W.dtype
    _check("x", x, (packing.N, I), dtype)
    _check("h_0", h_0, (B, P), dtype)
    if cell.has_cell_state:
        _check("c_0", c_0, (B, cell.C * H), dtype)
    if call.noise is not None and call.noise.mask is not None:
        _check("noise.mask", call.noise.mask, (B, P), dtype)
    for edit in edits:
        R, width = len(edit.scale), P if edit.quantity == "hidden" else H
        _check("edit.rows", edit.rows, (packing.N,), torch.int64)
        _check("edit.scale", edit.scale, (R, width), dtype)
        _check("edit.shift", edit.shift, (R, width), dtype)


def _check_steps(call: Call, steps: Steps, prefix: str) -> None:
    """The same for what a backward is given: steps that are kept, or gradients of them."""
    N, G, C, dtype = call.packing.N, call.cell.G, call.cell.C, call.x.dtype
    H, P, exact = call.H, call.weights.U.shape[1], torch.promote_types(dtype, torch.float32)
    q = N, _width_of_q(call)
    shapes = Steps((N, P), (N, C * H), (N, G, H), (N, G, H), q)  # type: ignore[arg-type]
    for name, tensor, shape in zip(Steps._fields, steps, shapes, strict=True):
        if tensor is not None:
            _check(prefix + name, tensor, shape, exact if name == "c" else dtype)  # type: ignore[arg-type]


def _check(name: str, tensor: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if tensor is None or tensor.shape != shape or tensor.dtype != dtype or not tensor.is_cpu:
        found = (
            "none" if tensor is None else f"{tuple(tensor.shape)} {tensor.dtype} {tensor.device}"
        )
        raise InputError(f"{name}: expected {shape} {dtype} cpu, got {found}")


def _sizes(call: Call) -> Tensor | None:
    """(T,) the batch sizes, for a ragged batch."""
    return None if call.packing.is_dense else torch.tensor(call.packing.batch_sizes)


def _tables(call: Call) -> list[tuple[Tensor | None, ...]]:
    """The edits as the kernels read them: for each gate, the cell and the hidden state its rows,
    scale and shift, None where nothing edits it. Nothing at all where there is no edit.
    """
    if not call.edits:
        return []
    # an RNN's only gate is its hidden state, which is edited once
    gates = [gate.name for gate in call.cell.gates if gate.name != "hidden"]
    slots = [*gates, *[""] * (4 - len(gates)), "cell", "hidden", "normalizer", "stabilizer"]
    found = {edit.quantity: edit for edit in call.edits}
    tables: list[tuple[Tensor | None, ...]] = []
    for slot in slots:
        edit = found.get(slot)
        tables.append((None,) * 3 if edit is None else tuple(map(contiguous, edit[1:])))
    return tables


def _needs_pre(call: Call) -> bool:
    """Whether the backward asks for what went into the squashes: where it does not follow from
    what came out, because that was edited or drawn, or, in an RNN, held. Of an LSTM's drawn gates
    it asks for their odds.
    """
    if call.edits:
        return True
    noise, cell = call.noise, call.cell
    if noise is None:
        return False
    drawn = _drawn_by_odds(call) and cell.kind != "lstm"
    return drawn or (isinstance(cell, RNN) and bool(noise.zoneout[1]))


def _drawn_by_odds(call: Call) -> bool:
    """Whether gates are drawn to be 0 or 1, so that their values do not tell their odds."""
    drawn = call.noise is not None and call.noise.training
    return drawn and any(gate.stochastic == "bernoulli" for gate in call.cell.gates)


def _width_of_q(call: Call) -> int:
    """How many more numbers of each step the backward asks for: what a GRU's reset gate resets;
    what goes into an sLSTM's forget gate, which its value, an exponential, does not give back; the
    odds of an LSTM's drawn gates; both normalised terms of a layer-normalised cell, and what they
    were divided by.
    """
    cell, H = call.cell, call.H
    if cell.kind == "lstm":
        is_asked = _drawn_by_odds(call) and not call.edits
        return H * sum(gate.stochastic is not None for gate in cell.gates) if is_asked else 0
    if isinstance(cell, (NormalisedLSTM, NormalisedGRU)):
        return 2 * cell.G * H + 16
    return H if isinstance(cell, SLSTM) or (cell.kind == "gru" and cell.gates_in("U")) else 0


def _mask(call: Call) -> Tensor | None:
    return None if call.noise is None else contiguous(call.noise.mask)


def _chance(call: Call, mask: Tensor | None) -> tuple[int, bool, float, float, int] | None:
    """The noise of a run as the kernels take it."""
    noise = call.noise
    if noise is None or not noise.acts_on(call.cell):
        return None
    cell, hidden = noise.zoneout
    cell = cell if call.cell.has_cell_state else 0.0
    return noise.seed, noise.training, cell, hidden, address(mask)


def _read(call: Call, h: Tensor, h_0: Tensor) -> tuple[Tensor, Tensor]:
    """What products read of h and h_0: the same, or masked."""
    if call.noise is None or call.noise.mask is None:
        return h, h_0
    mask, packing = call.noise.mask, call.packing
    if packing.is_dense:
        return (h.unflatten(0, (packing.T, packing.B)) * mask).flatten(0, 1), h_0 * mask
    return h * of_tokens(call, mask), h_0 * mask


def _addresses(tables: list[tuple[Tensor | None, ...]]) -> list[int]:
    """Of each edit rows, scale and shift, and after them how many rows the tables have."""
    return [
        number
        for rows, scale, shift in tables
        for number in (
            address(rows),
            address(scale),
            address(shift),
            0 if scale is None else len(scale),
        )
    ]


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
