"""The kernels read their inputs and write their results: all of them, and nothing beside them."""

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import Leaves, call_of, gradients, leaves, loss_on
from tests.engines.subjects import NATIVE, NEEDS_KERNELS
from tests.tolerances import assert_same_bits
from torch import Tensor

from glasscell import ops

GUARD = 256  # numbers on either side of a tensor: several vectors
LENGTHS = {"dense": [3] * 5, "ragged": [6, 5, 5, 2, 1]}
SIZES = {"whole-vectors": (64, 64, 32), "ends-of-rows": (17, 33, 5), "ones": (1, 1, 1)}  # I, H, P

pytestmark = [
    NEEDS_KERNELS,
    pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"]),
    pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS),
    pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES),
    pytest.mark.parametrize("dtype", NATIVE.dtypes, ids=str),
    pytest.mark.parametrize("name", SUBJECTS),
]


def surrounded(shape: torch.Size, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """A buffer of NaN, and a tensor of this shape in its middle."""
    n = shape.numel()
    buffer = torch.full((n + 2 * GUARD,), float("nan"), dtype=dtype)
    return buffer, buffer[GUARD : GUARD + n].view(shape)


def amid_nan(tensor: Tensor) -> Tensor:
    _, middle = surrounded(tensor.shape, tensor.dtype)
    return middle.copy_(tensor.detach()).detach().requires_grad_(tensor.requires_grad)


@pytest.fixture
def allocated(monkeypatch) -> list[Tensor]:
    """The buffers of all memory that Python code asks for from now on; it starts as NaN."""
    buffers: list[Tensor] = []

    def guarded(shape: torch.Size, dtype: torch.dtype) -> Tensor:
        buffer, middle = surrounded(shape, dtype)
        buffers.append(buffer)
        return middle

    empty = torch.empty

    def new(*size, dtype=None, **options) -> Tensor:
        example = empty(*size, dtype=dtype, **options, device="meta")
        if not example.is_floating_point():
            return empty(*size, dtype=dtype, **options)
        return guarded(example.shape, example.dtype)

    def like(tensor: Tensor, *, dtype=None, **_) -> Tensor:
        return guarded(tensor.shape, dtype or tensor.dtype)

    def new_of(tensor: Tensor, *size, dtype=None, **_) -> Tensor:
        return new(*size, dtype=dtype or tensor.dtype)

    monkeypatch.setattr(torch, "empty", new)
    monkeypatch.setattr(torch, "empty_like", like)
    monkeypatch.setattr(torch.Tensor, "new_empty", new_of)
    return buffers


def results(name: str, tensors: Leaves, lengths: list[int], reverse: bool) -> dict[str, Tensor]:
    """Everything that a run gives back, and every gradient."""
    record = ops.run(call_of(name, tensors, lengths, reverse), "native")
    generator = torch.Generator().manual_seed(1)
    ds = loss_on(record, ("h", "c", "gates", "pre"), generator)
    ds = {target: amid_nan(d) for target, d in ds.items()}
    values = {k: v.detach() for k, v in record._asdict().items() if v is not None}
    return {**values, **{f"d{k}": v for k, v in gradients(record, ds, tensors).items()}}


def test_nothing_outside_is_read_or_written_and_nothing_inside_left_out(
    name, dtype, sizes, lengths, reverse, request
):
    I, H, P = sizes
    tensors = leaves(name, lengths, I, H, dtype, P)
    expected = results(name, tensors, lengths, reverse)
    amid = [t if t is None else amid_nan(t) for t in tensors]
    buffers = request.getfixturevalue("allocated")
    found = results(name, amid, lengths, reverse)
    owners = {buffer.untyped_storage().data_ptr() for buffer in buffers}
    assert found["h"].untyped_storage().data_ptr() in owners
    assert found["dx"].untyped_storage().data_ptr() in owners
    for buffer in buffers:
        assert buffer[:GUARD].isnan().all()
        assert buffer[-GUARD:].isnan().all()
        assert not buffer[GUARD:-GUARD].isnan().any()
    for key, value in expected.items():
        assert_same_bits(found[key], value, key)


def test_what_an_earlier_call_left_behind_is_not_read(name, dtype, sizes, lengths, reverse):
    """The kernels' own memory is kept from call to call."""
    I, H, P = sizes
    tensors = leaves(name, lengths, I, H, dtype, P)
    expected = results(name, tensors, lengths, reverse)
    for extra in (0, 3):
        poison = leaves(name, lengths, I + extra, H + extra, dtype, P + extra)
        poison = [t if t is None else torch.full_like(t, float("nan")) for t in poison]
        for tensor in poison:
            if tensor is not None:
                tensor.requires_grad_()
        results(name, poison, lengths, reverse)
        again = results(name, tensors, lengths, reverse)
        for key, value in expected.items():
            assert_same_bits(again[key], value, key)
