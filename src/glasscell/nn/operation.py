"""One layer in one direction as an operation that PyTorch's compilers know: glasscell::recurrence.

To `torch.compile` and `torch.export` it is one node with a schema, a rule for its shapes, and a
backward, which is an operation too. When it runs it picks an engine as an eager layer does. How
many steps and sequences there are, and how long each is, is never part of a graph.

A forward whose backward will come keeps a tape for it. A graph holds nothing but tensors, so the
tape hangs on one: an empty one, the last output, which lives as long as the graph's own saved
tensors do. The tape shares memory with what came out, and some tapes with what went in too, which
a compiler saves for the backward, or writes over and computes again. So the backward goes by the
tape only if it gets all that is shared back in the same memory; if not, it runs the forward again.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from glasscell.cells import Weights, spec
from glasscell.engines import Call, Packing, Record, choose
from glasscell.engines.precision import dtype_under
from glasscell.engines.tape import Gradients, Tape, taped
from glasscell.errors import InputError
from glasscell.nn.layout import Layout, read_padded


class Options(NamedTuple):
    """What the operation is told besides its tensors."""

    batch_sizes: Tensor | None = None  # (T,) of packed tokens, on the CPU
    lengths: Tensor | None = None  # (B,) of padded sequences
    cell: str = "lstm"  # as `cells.spec` writes it
    reverse: bool = False
    engine: str = "auto"
    record: bool = False  # whether to hand out c, gates and pre of every step
    needed: Sequence[bool] = ()  # for each tensor: whether a backward will ask for it
    autocast: torch.dtype | None = None  # autocast's precision, where it is on


_TENSORS = (
    "Tensor x, Tensor h_0, Tensor? c_0, Tensor W, Tensor U, Tensor? b_x, Tensor? b_h, "
    "Tensor? V, Tensor? p, Tensor? S, Tensor? a, Tensor? a_c"
)
_OPTIONS = (
    "Tensor? batch_sizes=None, Tensor? lengths=None, str cell='lstm', bool reverse=False, "
    "str engine='auto', bool record=False, bool[] needed=[], ScalarType? autocast=None"
)
_N = 3 + len(Weights._fields)  # tensors that a gradient may be asked for: `Call.tensors()`

# A CUDA graph would play back the kernels, and never make the tape.
_TAGS = [torch.Tag.cudagraph_unsafe] if hasattr(torch.Tag, "cudagraph_unsafe") else []

_library = torch.library.Library("glasscell", "DEF")
_library.define(
    f"recurrence({_TENSORS}, {_OPTIONS}) -> "
    "(Tensor h, Tensor h_n, Tensor c_n, Tensor c, Tensor gates, Tensor pre, Tensor tape)",
    tags=_TAGS,
)
_library.define(
    "recurrence_backward(Tensor?[] grads, Tensor[] outputs, Tensor?[] tensors, "
    f"{_OPTIONS}) -> Tensor[]",
    tags=_TAGS,
)
_FORWARD = torch.ops.glasscell.recurrence.default
_BACKWARD = torch.ops.glasscell.recurrence_backward.default


def recurrence(
    x: Tensor, h_0: Tensor, c_0: Tensor | None, weights: Weights, options: Options
) -> Record:
    """Runs one layer in one direction, as one node of the graph that a compiler is making.

    Args:
        x: (T, B, I), padded where `options.lengths` are given; or packed tokens (N, I) with
            `options.batch_sizes`. What comes back for every step lies like x.
        h_0, c_0: (B, P), (B, H) in the order of the sequences of x; so are the last states.
    """
    h, h_n, c_n, c, gates, pre, _ = _FORWARD(x, h_0, c_0, *weights, *options)
    return Record(
        h=h,
        h_n=h_n,
        c_n=None if c_0 is None else c_n,
        c=c if options.record and c_0 is not None else None,
        gates=gates if options.record else None,
        pre=pre if options.record else None,
    )


# What it computes


class _Kept(NamedTuple):
    """What hangs on the last output."""

    tape: Tape
    layout: Layout
    memory: list[int]


def _shared(outputs: Sequence[Tensor]) -> list[Tensor]:
    """The outputs that a tape may share memory with, from all of them or from these: not the last
    states.
    """
    return [outputs[0], *outputs[-4:]]


def _memory(tape: Tape, outputs: Gradients, tensors: Gradients) -> list[int]:
    """Where all lies that a tape may share memory with."""
    shared = (*outputs, *tensors) if tape.keeps_inputs else outputs
    return [0 if t is None else t.data_ptr() for t in shared]


def _forward(*given: Any) -> tuple[Tensor, ...]:
    tensors, options = given[:_N], Options(*given[_N:])
    call, layout = _read(tensors, options)
    with _autocasting(call, options):
        engine = choose(call, options.engine)
        if any(options.needed):
            tape = taped(call, engine, options.needed)
            record = tape.record
        else:
            with torch.no_grad():
                tape, record = None, engine.run(call)

    def every_step(of_tokens: Tensor | None) -> Tensor | None:
        return None if of_tokens is None or not options.record else layout.padded(of_tokens)

    def last(states: Tensor | None) -> Tensor | None:
        if states is None:
            return None
        states = layout.callers_states(states)
        return states if tape is None else states.clone()  # the caller may write into them

    absent = record.h.new_empty(0)
    results = [
        layout.padded(record.h),
        last(record.h_n),
        last(record.c_n),
        every_step(record.c),
        every_step(record.gates),
        every_step(record.pre),
        absent,
    ]
    outputs = _apart([absent.clone() if r is None else r.detach() for r in results])
    if tape is not None:
        kept = _Kept(tape, layout, _memory(tape, _shared(outputs), tensors))
        outputs[-1].kept = kept  # type: ignore[attr-defined]
    return tuple(outputs)


def _backward(
    grads: Gradients, outputs: list[Tensor], tensors: Gradients, *given: Any
) -> list[Tensor]:
    options = Options(*given)
    kept: _Kept | None = getattr(outputs[-1], "kept", None)
    if kept is not None and kept.memory == _memory(kept.tape, _shared(outputs), tensors):
        tape = kept.tape
        call, layout = _read(tensors, options, kept.layout)
    else:
        call, layout = _read(tensors, options)
        with _autocasting(call, options):
            tape = taped(call, choose(call, options.engine), options.needed)

    def of_tokens(d: Tensor | None) -> Tensor | None:
        return None if d is None else layout.tokens(d)

    def of_states(d: Tensor | None) -> Tensor | None:
        return None if d is None else layout.sorted_states(d)

    dh, dh_n, dc_n, dc, dgates, dpre = grads
    d = (of_tokens(dh), of_states(dh_n), of_states(dc_n), *map(of_tokens, (dc, dgates, dpre)))
    with _autocasting(call, options._replace(autocast=None)):
        dx, dh_0, dc_0, *dw = tape.gradients(call, d, options.needed)
    dx = None if dx is None else layout.padded(dx)
    states = (None if g is None else layout.callers_states(g) for g in (dh_0, dc_0))
    return _apart(
        [
            call.x.new_empty(0) if t is None or not n else torch.zeros_like(t) if g is None else g
            for g, t, n in zip((dx, *states, *dw), tensors, options.needed, strict=True)
        ],
        from_=grads,
    )


def _read(
    tensors: Gradients, options: Options, layout: Layout | None = None
) -> tuple[Call, Layout]:
    """The call, on packed tokens, and how the sequences lie; less to do where that is known."""
    x, h_0, c_0, *weights = tensors
    assert x is not None
    assert h_0 is not None
    if layout is not None:
        tokens = layout.tokens(x)
    elif options.batch_sizes is None:
        layout, tokens = read_padded(x, False, options.lengths)
    else:
        packing = Packing(tuple(options.batch_sizes.tolist()))
        layout, tokens = Layout(packing, batched=False, T=packing.T), x  # they lie as they are
    if h_0.shape[0] != layout.packing.B:
        raise InputError(f"hx: expected {layout.packing.B} sequences, got {h_0.shape[0]}")
    call = Call(
        cell=spec.read(options.cell),
        weights=Weights(*weights),  # type: ignore[arg-type]
        x=tokens,
        packing=layout.packing,
        h_0=layout.sorted_states(h_0),
        c_0=None if c_0 is None else layout.sorted_states(c_0),
        reverse=options.reverse,
        record=options.record,
    )
    return call, layout


def _autocasting(call: Call, options: Options):
    device = call.x.device.type
    if options.autocast is not None:
        return torch.autocast(device, dtype=options.autocast)
    return torch.autocast(device, enabled=False) if _autocasts(device) else nullcontext()


def _autocasts(device: str) -> bool:
    return torch.is_autocast_enabled(device)


def _apart(tensors: list[Tensor], from_: Gradients = ()) -> list[Tensor]:
    """The same tensors, contiguous, each alone in its memory, as an operation must return them."""
    taken = {t.untyped_storage().data_ptr() for t in from_ if t is not None}
    apart = []
    for tensor in tensors:
        tensor = tensor.contiguous()
        memory = tensor.untyped_storage()
        if memory.nbytes() != tensor.nbytes or memory.data_ptr() in taken:
            tensor = tensor.clone()
        elif tensor.numel():
            taken.add(memory.data_ptr())
        apart.append(tensor)
    return apart


# What a compiler is told of it


def _forward_shapes(*given: Any) -> tuple[Tensor, ...]:
    x, h_0, c_0, *weights = given[:_N]
    options = Options(*given[_N:])
    cell, w = spec.read(options.cell), Weights(*weights)
    call = Call(cell, w, x, Packing(()), h_0, c_0)
    G, H, P, C = cell.G, call.H, w.U.shape[1], cell.C
    B, each = h_0.shape[0], x.shape[:-1]  # each step of each sequence
    dtype = dtype_under(options.autocast, call)

    def empty(there: bool, *shape: Any) -> Tensor:
        return x.new_empty(shape if there else (0,), dtype=dtype)

    has_c, record = cell.has_cell_state, options.record
    return (
        empty(True, *each, P),
        empty(True, B, P),
        empty(has_c, B, C * H),
        empty(has_c and record, *each, C * H),
        empty(record, *each, G, H),
        empty(record, *each, G, H),
        empty(False),
    )


def _backward_shapes(grads: Any, outputs: Any, tensors: Any, *given: Any) -> list[Tensor]:
    x = tensors[0]
    return [
        x.new_empty(0) if t is None or not n else t.new_empty(t.shape)
        for t, n in zip(tensors, Options(*given).needed, strict=True)
    ]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(ctx, keyset, *given):
        tensors, options = given[:_N], Options(*given[_N:])
        outputs = _below_autograd(keyset, *given)
        kept = _shared(outputs)
        ctx.save_for_backward(*tensors, options.batch_sizes, options.lengths, *kept)
        ctx.options = options._replace(batch_sizes=None, lengths=None)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*(o for o in outputs if o.dim() == 1))  # the absent, the tape
        return tuple(outputs)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, *grads):
        saved = ctx.saved_tensors
        tensors, (batch_sizes, lengths, *outputs) = saved[:_N], saved[_N:]
        options = ctx.options._replace(batch_sizes=batch_sizes, lengths=lengths)
        found = _BACKWARD(list(grads[:6]), outputs, list(tensors), *options)
        none = (None,) * len(options)
        return None, *(g if n else None for g, n in zip(found, options.needed, strict=True)), *none


def _below_autograd(keyset: Any, *given: Any) -> tuple[Tensor, ...]:
    return _FORWARD.redispatch(keyset & torch._C._after_autograd_keyset, *given)  # type: ignore[attr-defined]


def _with_autograd(keyset: Any, *given: Any) -> tuple[Tensor, ...]:
    if torch.is_grad_enabled():
        tensors, options = given[:_N], Options(*given[_N:])
        needed = [tensor is not None and tensor.requires_grad for tensor in tensors]
        if any(needed):
            return _Recurrence.apply(keyset, *tensors, *options._replace(needed=needed))  # type: ignore[return-value]
    return _below_autograd(keyset, *given)


def _with_autocast(key: Any):
    """Autocast is no state that a graph has when it runs, so it becomes one of the options."""

    def with_autocast(keyset: Any, *given: Any) -> tuple[Tensor, ...]:
        tensors, options = given[:_N], Options(*given[_N:])
        device = tensors[0].device.type
        if _autocasts(device):
            options = options._replace(autocast=torch.get_autocast_dtype(device))
        below = keyset & torch._C._dispatch_keyset_full_after(key)  # type: ignore[attr-defined]
        return _FORWARD.redispatch(below, *tensors, *options)

    return with_autocast


_library.impl("recurrence", _forward, "CompositeExplicitAutograd")
_library.impl("recurrence_backward", _backward, "CompositeExplicitAutograd")
_library.impl("recurrence", _with_autograd, "Autograd", with_keyset=True)
for _name in ("AutocastCPU", "AutocastCUDA", "AutocastXPU", "AutocastMPS"):
    _key = getattr(torch._C.DispatchKey, _name)  # type: ignore[attr-defined]
    _library.impl("recurrence", _with_autocast(_key), _name, with_keyset=True)
torch.library.register_fake("glasscell::recurrence", _forward_shapes, lib=_library)
torch.library.register_fake("glasscell::recurrence_backward", _backward_shapes, lib=_library)
