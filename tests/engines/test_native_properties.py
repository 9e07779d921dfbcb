"""The native engine on calls drawn at random, against the reference in float64.

Any cell, sizes, lengths, dtype and direction; tensors that lie in memory in any way; any set of
inputs that want a gradient, with a loss on any set of results.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import LETTERS, TARGETS, Leaves, call_of, exact, gradients, leaves, loss_on
from tests.engines.subjects import NATIVE, NEEDS_KERNELS
from tests.tolerances import TOLERANCES, assert_close, error
from torch import Tensor

from glasscell import ops
from glasscell.engines import ENGINES, Call, Record, through_time
from glasscell.engines.boundary import bounded
from glasscell.engines.call import Steps

pytestmark = NEEDS_KERNELS

# Just below, at and above whole vectors and strips of them.
SIZES = st.one_of(st.sampled_from((1, 15, 16, 17, 31, 33, 63, 64, 65)), st.integers(1, 70))


def odd_address(tensor: Tensor) -> Tensor:
    """In the middle of a buffer, one element after its start: no vector of it is aligned."""
    buffer = tensor.new_empty(tensor.numel() + 2)
    return buffer[1:-1].view(tensor.shape).copy_(tensor)


def every_other_column(tensor: Tensor) -> Tensor:
    buffer = tensor.new_empty(*tensor.shape[:-1], 2 * tensor.shape[-1])
    return buffer[..., 1::2].copy_(tensor)


LAYOUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "plain": torch.clone,
    "transposed": lambda t: t.mT.contiguous().mT if t.dim() > 1 else t,
    "odd address": odd_address,
    "every other column": every_other_column,
    "one row for all": lambda t: t[:1].expand(t.shape),  # stride 0
    "one number for all": lambda t: t.flatten()[:1].expand(t.shape),
}
VARIED = ("plain", "transposed", "odd address", "every other column")


@dataclass(frozen=True)
class Case:
    name: str
    dtype: torch.dtype
    lengths: list[int]
    I: int
    H: int
    P: int  # for cells with a projection
    reverse: bool
    record: bool
    seed: int


cases = st.builds(
    Case,
    name=st.sampled_from(sorted(SUBJECTS)),
    dtype=st.sampled_from(NATIVE.dtypes),
    lengths=st.one_of(
        st.lists(st.integers(1, 12), min_size=1, max_size=12).map(lambda n: sorted(n)[::-1]),
        st.builds(lambda T, B: [T] * B, st.integers(1, 12), st.integers(1, 12)),
    ),
    I=SIZES,
    H=SIZES,
    P=SIZES,
    reverse=st.booleans(),
    record=st.booleans(),
    seed=st.integers(0, 2**16),
)


def drawn(case: Case) -> Leaves:
    torch.manual_seed(case.seed)
    return leaves(case.name, case.lengths, case.I, case.H, case.dtype, case.P)


def laid_out(tensors: Leaves, how: tuple[str, ...], wanted: set[str]) -> Leaves:
    """As leaves that lie in memory as `how` says, those that are wanted with a gradient."""
    placed: Leaves = []
    for letter, tensor, layout in zip(LETTERS, tensors, how, strict=True):
        if tensor is None:
            placed.append(None)
            continue
        # A matrix of one number multiplies every rounding error, and in half precision equal
        # tokens round in the same direction: the table of tolerances is for neither.
        if letter in ("W", "U", "V") or tensor.dtype.itemsize == 2:
            layout = layout if layout in VARIED else "plain"
        tensor = LAYOUTS[layout](tensor.detach()).detach()
        placed.append(tensor.requires_grad_(letter in wanted))
    return placed


class KeptSteps:
    """The reference's backward, in float64, of the very steps that the native engine kept.

    A slope follows from a kept value, 1 - h * h from h. Where h is rounded, by up to h u, that is
    off by up to 2 h h u / (1 - h * h) of it: some hundredths at h = 0.95, and all of it at 0.999,
    in any engine that keeps bfloat16. So there the steps are compared with the exact ones, and the
    gradients with those of the steps; how far these are from the exact gradients is a matter of
    the numbers, and of no kernel.

    Attributes:
        summands: by letter, what each gradient's sums would come to if no two terms cancelled.
    """

    name = "kept"

    def __init__(self, native: Call) -> None:
        with torch.no_grad():
            self.steps = ENGINES["native"].forward(native)  # type: ignore[attr-defined]

    def forward(self, call: Call) -> Steps:
        h = self.steps.h.double()
        c, gates, pre = (None if t is None else t.double() for t in self.steps[1:4])
        h_prev = call.packing.previous(h, call.h_0, call.reverse)
        _, q = call.cell.preactivations(call.x, h_prev, call.weights)
        return Steps(h, c, gates, pre, q)

    def backward(self, call: Call, steps: Steps, grads: Steps, needed, of_steps):
        d = through_time.through_time(call, steps, grads)
        sizes = {f.name: _size(getattr(d, f.name)) for f in fields(d)}
        size_of_call = call.with_tensors([_size(t) for t in call.tensors()])
        size_of_steps = Steps(*(_size(t) for t in steps))
        summed = through_time.gradients(size_of_call, size_of_steps, replace(d, **sizes))
        self.summands = dict(zip(LETTERS, summed, strict=True))
        return through_time.gradients(call, steps, d), None

    def run(self, call: Call) -> Record:
        steps = bounded(call, self)
        return Record.of(call, steps.h, steps.c, steps.gates, steps.pre)


def _size(t: Any) -> Any:
    return t.abs() if isinstance(t, Tensor) else t


def assert_as_the_reference(case: Case, tensors: Leaves, targets: set[str]) -> None:
    """Every result that is there, and every gradient that is wanted."""
    doubles = exact(tensors)
    call = call_of(case.name, tensors, case.lengths, case.reverse, case.record)
    found = ops.run(call, "native")
    oracle = ops.run(call_of(case.name, doubles, case.lengths, case.reverse), "reference")
    for target in TARGETS:
        value, expected = getattr(found, target), getattr(oracle, target)
        if value is None and not case.record and target in ("c", "gates", "pre"):
            continue
        assert value is None or value.dtype == case.dtype
        assert_close(value, expected, target, dtype=case.dtype)
    ds = loss_on(found, tuple(t for t in TARGETS if t in targets))
    if not ds or all(t is None or not t.requires_grad for t in tensors):
        return
    kept = None
    if case.dtype.itemsize == 2:
        kept = KeptSteps(call_of(case.name, tensors, case.lengths, case.reverse))
        oracle = kept.run(call_of(case.name, doubles, case.lengths, case.reverse))
    mine = gradients(found, ds, tensors)
    expected = gradients(oracle, {target: d.double() for target, d in ds.items()}, doubles)
    for letter, gradient in mine.items():
        assert gradient.dtype == case.dtype
        name = f"dL/d{letter}"
        if kept is not None and gradient.numel() < 16:
            # in so few numbers, the largest too may be left of terms that cancelled by chance
            summands = kept.summands[letter]
            assert summands is not None
            size = summands.max().clamp(min=1)
            gradient, expected[letter] = gradient.double() / size, expected[letter] / size
        assert_close(gradient, expected[letter], name, dtype=case.dtype, kind="gradient")


# One unit, nearly saturated: |h| from 0.94 to 0.9996.
SATURATED = Case("rnn-tanh", torch.bfloat16, [4], 31, 1, 1, reverse=True, record=True, seed=0)


def test_near_saturation_a_gradient_is_off_by_what_rounding_the_states_takes():
    """More than the table allows, and no more than follows from h alone, to first order."""
    tensors, lengths = drawn(SATURATED), SATURATED.lengths
    doubles = exact(tensors)
    found = ops.run(call_of("rnn-tanh", tensors, lengths, reverse=True), "native")
    ds = loss_on(found, ("h", "gates", "h_n"))
    mine = gradients(found, ds, tensors)["W"]
    oracle = ops.run(call_of("rnn-tanh", doubles, lengths, reverse=True), "reference")
    expected = gradients(oracle, {k: d.double() for k, d in ds.items()}, doubles)["W"]

    u = torch.finfo(torch.bfloat16).eps / 2
    T, U = lengths[0], doubles[LETTERS.index("U")].item()
    # in the order of the recurrence, which is reversed
    x = doubles[0].detach().flip(0)
    h = oracle.h.detach().flatten().flip(0)
    d = (ds["h"] + ds["gates"][:, 0]).double().flatten().flip(0)
    d[-1] += ds["h_n"].double().item()
    slope = 1 - h * h
    # h_t = tanh(W x_t + U h_{t-1} + b), and then rounded
    off_h = torch.zeros(T).double()
    for t in range(T):
        off_h[t] = u * h[t].abs() + slope[t] * abs(U) * (off_h[t - 1] if t else 0)
    # dL/dpre_t = (1 - h_t * h_t) dL/dh_t, and then rounded; dL/dh_t = d_t + U dL/dpre_{t+1}
    dpre, off_dpre, bound = torch.zeros(()), torch.zeros(()), u * expected.abs()
    for t in reversed(range(T)):
        dh, off_dh = d[t] + U * dpre, abs(U) * off_dpre
        dpre = slope[t] * dh
        off_dpre = 2 * (h[t] * dh).abs() * off_h[t] + slope[t] * off_dh + u * dpre.abs()
        bound = bound + off_dpre * x[t].abs()
    assert error(mine, expected) > TOLERANCES[torch.bfloat16]["gradient"]
    assert ((mine.double() - expected).abs() <= bound).all()


def test_a_backward_that_is_a_little_wrong_is_found(monkeypatch):
    """Even in bfloat16: by a sixteenth, in any cell."""
    native = type(ENGINES["native"])
    right = native.backward  # type: ignore[attr-defined]

    def wrong(*given):
        found, of_steps = right(*given)
        return tuple(None if t is None else t * (1 + 2**-4) for t in found), of_steps

    monkeypatch.setattr(native, "backward", wrong)
    for name in SUBJECTS:
        for lengths in ([4], [12, 9, 9, 1]):
            case = replace(SATURATED, name=name, H=16, P=5, lengths=lengths)
            with pytest.raises(AssertionError, match="dL/d"):
                assert_as_the_reference(case, drawn(case), {"h"})


@settings(max_examples=800)
@given(case=cases)
def test_any_sizes(case):
    assert_as_the_reference(case, drawn(case), set(TARGETS))


@settings(max_examples=600)
@given(
    case=cases,
    how=st.tuples(*[st.sampled_from(sorted(LAYOUTS))] * len(LETTERS)),
    wanted=st.sets(st.sampled_from(LETTERS)),
    targets=st.sets(st.sampled_from(TARGETS), min_size=1),
)
@example(case=SATURATED, how=("plain",) * len(LETTERS), wanted={"W"}, targets={"h", "gates", "h_n"})
def test_any_layout_in_memory_and_any_set_of_gradients(case, how, wanted, targets):
    assert_as_the_reference(case, laid_out(drawn(case), how, wanted), targets)


@settings(max_examples=400)
@given(case=cases, letter=st.sampled_from(LETTERS), target=st.sampled_from(TARGETS))
def test_each_gradient_alone(case, letter, target):
    plain = ("plain",) * len(LETTERS)
    assert_as_the_reference(case, laid_out(drawn(case), plain, {letter}), {target})


@settings(max_examples=200)
@given(case=cases, offset=st.integers(0, 7))
def test_inputs_that_share_their_memory(case, offset):
    """x, the states and all weights begin in the same few numbers."""
    tensors = drawn(case)
    largest = max(t.numel() for t in tensors if t is not None)
    memory = (torch.randn(largest + 8) / max(case.H, case.P) ** 0.5 / 2).to(case.dtype)
    shared: Leaves = [
        None if t is None else memory[k % (offset + 1) :][: t.numel()].view(t.shape)
        for k, t in enumerate(tensors)
    ]
    for tensor in shared:
        if tensor is not None:
            tensor.requires_grad_()
    assert_as_the_reference(case, shared, set(TARGETS))
