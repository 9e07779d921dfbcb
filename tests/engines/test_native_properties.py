"""The native engine on calls drawn at random, against the reference in float64.

Any cell, sizes, lengths, dtype and direction; tensors that lie in memory in any way; any set of
inputs that want a gradient, with a loss on any set of results.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.cells.zoo import SUBJECTS
from tests.engines import calls
from tests.engines.calls import LETTERS as ALL_LETTERS
from tests.engines.calls import TARGETS, Leaves, call_of, exact, gradients, leaves
from tests.engines.subjects import NATIVE, NEEDS_KERNELS
from tests.tolerances import assert_close
from torch import Tensor

from glasscell import ops

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


LETTERS = ALL_LETTERS[: ALL_LETTERS.index("p") + 1]  # those that some cell of the zoo has


def laid_out(tensors: Leaves, how: tuple[str, ...], wanted: set[str]) -> Leaves:
    """As leaves that lie in memory as `how` says, those that are wanted with a gradient."""
    placed: Leaves = []
    none = tensors[len(LETTERS) :]
    assert all(tensor is None for tensor in none)
    for letter, tensor, layout in zip(LETTERS, tensors, how, strict=False):
        if tensor is None:
            placed.append(None)
            continue
        # A matrix of one number multiplies every rounding error, and in half precision equal
        # tokens round in the same direction: the table of tolerances is for neither.
        if letter in ("W", "U", "V") or tensor.dtype.itemsize == 2:
            layout = layout if layout in VARIED else "plain"
        tensor = LAYOUTS[layout](tensor.detach()).detach()
        placed.append(tensor.requires_grad_(letter in wanted))
    return [*placed, *none]


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
    if calls.has_a_jump(case.name, case.dtype):
        return
    ds = calls.loss_on(found, tuple(t for t in TARGETS if t in targets))
    if not ds or all(t is None or not t.requires_grad for t in tensors):
        return
    mine = gradients(found, ds, tensors)
    expected = gradients(oracle, {target: d.double() for target, d in ds.items()}, doubles)
    for letter, gradient in mine.items():
        assert gradient.dtype == case.dtype
        if case.dtype.itemsize == 2 and gradient.numel() < 16:
            continue  # in so few numbers, rounded terms may cancel by chance
        name = f"dL/d{letter}"
        assert_close(gradient, expected[letter], name, dtype=case.dtype, kind="gradient")


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
