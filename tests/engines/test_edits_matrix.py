"""Every engine that edits, against the independent loop with the same edits.

Outputs, states and gates of every step, and the gradient of every input, weight and edit.
"""

from typing import Any

import pytest
import torch
from tests.cells.equations import LETTERS
from tests.cells.zoo import SUBJECTS, independent
from tests.engines.calls import TARGETS, call_of, exact, gradients, has_a_jump, leaves, loss_on
from tests.engines.naive import pack, packed_rows, run_layer
from tests.engines.subjects import ENGINES
from tests.tolerances import assert_close, assert_same_bits
from torch import Tensor

from glasscell import ops
from glasscell.cells import Cell, Weights
from glasscell.engines import ENGINES as TABLE
from glasscell.engines import Record
from glasscell.engines.call import GradientRecord
from glasscell.engines.edits import RunEdit, combined
from glasscell.errors import EngineError

EDITING = [engine for engine in ENGINES if engine.name != "torch"]
PACKINGS = {  # lengths longest first, I, H
    "dense": ([3] * 5, 3, 17),
    "ragged": ([5, 5, 3, 1, 1], 17, 3),
    "one-sequence": ([7], 3, 18),
}
WAYS = ("set", "scale", "add")
RUNS = [(engine.name, name) for engine in EDITING for name in engine.subjects]
MATRIX = [
    pytest.param(engine.name, name, dtype, packing, id=f"{engine.name}-{name}-{dtype}-{packing}")
    for engine in EDITING
    for name in engine.subjects
    for dtype in engine.dtypes
    for packing in PACKINGS
    if dtype != torch.float16 and (dtype.itemsize > 2 or packing == "ragged")
]


def letter_of(cell: Cell, quantity: str) -> str:
    if quantity in ("cell", "hidden"):
        return quantity[0]
    names = [gate.name for gate in cell.gates]
    return LETTERS[cell.kind][names.index(quantity)]


def random_edit(quantity: str, N: int, width: int, dtype: torch.dtype) -> RunEdit:
    """Some tokens are left alone, the others are edited in one of three ways each, unit by unit."""
    R = 3
    rows = torch.randint(-1, R, (N,))
    rows[:2] = torch.tensor([0, -1])[:N]
    scale = torch.randn(R, width).to(dtype)
    scale[torch.rand(R, width) < 0.3] = torch.nan
    scale[torch.rand(R, width) < 0.3] = 1
    shift = (torch.rand(R, width) - 0.5).to(dtype)
    return RunEdit(quantity, rows, scale.requires_grad_(), shift.requires_grad_())


def oracle(name: str, tensors: list, lengths: list[int], reverse: bool, edits: list[RunEdit]):
    """The padded loop, whose edits are looked up by step and sequence."""
    x, h_0, c_0, *weights = tensors
    cell = SUBJECTS[name].cell
    model = independent(cell, Weights(*weights))
    B, T = len(lengths), max(lengths)
    places = packed_rows(lengths)
    at = torch.full((T, B), -1)
    for n, (t, b) in enumerate(places):
        at[t, b] = n
    by_letter = {letter_of(cell, edit.quantity): edit for edit in edits}

    def edit_of(t: int, letter: str, value: Tensor) -> Tensor:
        edit = by_letter.get(letter)
        if edit is None:
            return value
        rows = []
        for b in range(B):
            n = int(at[t, b])
            row = -1 if n < 0 else int(edit.rows[n])
            if row < 0:
                rows.append(value[b])
                continue
            replaced = edit.scale[row].isnan()
            scale = torch.where(replaced, torch.zeros_like(edit.scale[row]), edit.scale[row])
            kept = scale * value[b] + edit.shift[row]
            rows.append(torch.where(replaced, edit.shift[row], kept))
        return torch.stack(rows)

    zeros = x.new_zeros(T * B, x.shape[1])
    padded = zeros.index_put((torch.tensor([t * B + b for t, b in places]),), x)
    padded = padded.unflatten(0, (T, B))
    layer = run_layer(model, padded, lengths, h_0, c_0, reverse, edit_of)
    found: dict[str, Any] = {target: getattr(layer, target) for target in TARGETS}
    for target, value in found.items():
        if value is not None and target not in ("h_n", "c_n"):
            found[target] = pack(value, lengths)
    return Record(**found)


def width_of(name: str, quantity: str, H: int) -> int:
    return SUBJECTS[name].P(H) if quantity == "hidden" else H


def check(engine: str, name: str, case: tuple, dtype, reverse: bool, quantities: tuple[str, ...]):
    lengths, I, H = case
    H = max(H, 2) if SUBJECTS[name].projection else H
    tensors = leaves(name, lengths, I, H, dtype)
    edits = [random_edit(q, sum(lengths), width_of(name, q, H), dtype) for q in quantities]
    call = call_of(name, tensors, lengths, reverse)._replace(edits=tuple(edits))
    record = ops.run(call, engine)
    doubles = exact(tensors)
    exact_edits = [
        edit._replace(
            scale=edit.scale.detach().double().requires_grad_(),
            shift=edit.shift.detach().double().requires_grad_(),
        )
        for edit in edits
    ]
    expected = oracle(name, doubles, lengths, reverse, exact_edits)
    for target in TARGETS:
        assert_close(getattr(record, target), getattr(expected, target), target, dtype=dtype)

    if has_a_jump(name, dtype):
        return
    ds = loss_on(record)
    exact_ds = {t: d.double() for t, d in ds.items()}
    found, wanted = gradients(record, ds, tensors), gradients(expected, exact_ds, doubles)
    for letter, gradient in found.items():
        assert_close(gradient, wanted[letter], f"dL/d{letter}", dtype=dtype, kind="gradient")
    for edit, other in zip(edits, exact_edits, strict=True):
        for table in ("scale", "shift"):
            name_of = f"dL/d({table} of {edit.quantity})"
            mine = table_gradient(record, ds, getattr(edit, table))
            theirs = table_gradient(expected, exact_ds, getattr(other, table))
            assert_close(mine, theirs, name_of, dtype=dtype, kind="gradient")


def table_gradient(record: Record, ds: dict[str, Tensor], table: Tensor) -> Tensor:
    outputs = [getattr(record, target) for target in ds]
    (found,) = torch.autograd.grad(
        outputs, [table], list(ds.values()), retain_graph=True, allow_unused=True
    )
    return torch.zeros_like(table) if found is None else found


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("engine", "name", "dtype", "packing"), MATRIX)
def test_all_quantities_at_once(engine, name, dtype, packing, reverse):
    quantities = SUBJECTS[name].cell.quantities
    check(engine, name, PACKINGS[packing], dtype, reverse, quantities)


@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_each_quantity_alone(engine, name):
    for k, quantity in enumerate(SUBJECTS[name].cell.quantities):
        check(engine, name, PACKINGS["ragged"], torch.float64, k % 2 == 1, (quantity,))


@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_gradients_of_every_step_are_those_of_what_was_added(engine, name):
    """dL/dq' is dL/d(a shift of q of its own for every token), for every quantity."""
    lengths, I, H = PACKINGS["ragged"]
    H = max(H, 2)
    tensors, N = leaves(name, lengths, I, H), sum(lengths)
    cell = SUBJECTS[name].cell
    edits = [
        RunEdit(
            quantity,
            torch.arange(N),
            torch.ones(N, width_of(name, quantity, H), dtype=torch.float64),
            torch.zeros(N, width_of(name, quantity, H), dtype=torch.float64).requires_grad_(),
        )
        for quantity in cell.quantities
    ]
    left = GradientRecord()
    call = call_of(name, tensors, lengths)._replace(edits=tuple(edits), gradients=left)
    record = ops.run(call, engine)
    ds = loss_on(record)
    d_shift = [table_gradient(record, ds, edit.shift) for edit in edits]
    left.found = None
    expected = oracle(name, exact(tensors), lengths, False, edits)
    expected_d = [
        table_gradient(expected, {t: d.double() for t, d in ds.items()}, edit.shift)
        for edit in edits
    ]
    table_gradient(record, ds, edits[0].shift)
    assert left.found is not None
    for edit, mine, theirs in zip(edits, d_shift, expected_d, strict=True):
        assert_close(mine, theirs, edit.quantity, kind="gradient")
        assert_close(left.found.of(edit.quantity, cell), theirs, edit.quantity, kind="gradient")


@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_an_edit_that_changes_nothing_changes_no_bit(engine, name):
    lengths, I, H = PACKINGS["ragged"]
    tensors = leaves(name, lengths, I, max(H, 2), torch.float32)
    call = call_of(name, tensors, lengths)
    edits = []
    for quantity in SUBJECTS[name].cell.quantities:
        width = width_of(name, quantity, max(H, 2))
        rows = torch.full((sum(lengths),), -1)
        edits.append(RunEdit(quantity, rows, torch.ones(1, width), torch.zeros(1, width)))
    plain, edited = ops.run(call, engine), ops.run(call._replace(edits=tuple(edits)), engine)
    for target in TARGETS:
        assert_same_bits(getattr(edited, target), getattr(plain, target), target)


@pytest.mark.parametrize("engine", [engine.name for engine in EDITING])
@pytest.mark.parametrize("name", ["lstm", "lstm-projected", "gru", "rnn-tanh"])
def test_what_is_replaced_is_not_read(engine, name):
    """Where a quantity is set, not even NaN gets through."""
    lengths, I, H = PACKINGS["ragged"]
    tensors = leaves(name, lengths, I, H)
    with torch.no_grad():
        tensors[1][0] = torch.nan  # h_0 of the longest sequence
    cell = SUBJECTS[name].cell
    N = sum(lengths)
    rows = torch.full((N,), -1)
    rows[0] = 0  # its first step
    edits = []
    for quantity in cell.quantities:
        width = width_of(name, quantity, H)
        nan = torch.full((1, width), torch.nan, dtype=torch.float64)
        shift = torch.full((1, width), 0.25, dtype=torch.float64).requires_grad_()
        edits.append(RunEdit(quantity, rows, nan, shift))
    record = ops.run(call_of(name, tensors, lengths)._replace(edits=tuple(edits)), engine)
    assert record.pre is not None
    assert record.pre[0].isnan().all()
    assert record.h.isfinite().all()
    assert record.h_n.isfinite().all()
    assert_close(record.h[0], torch.full_like(record.h[0], 0.25))


def test_edits_one_after_the_other_are_one():
    N, H = 11, 4
    q = torch.randn(N, H, dtype=torch.float64)
    edits = [random_edit("cell", N, H, torch.float64) for _ in range(4)]
    value = q
    for edit in edits:
        scale, shift = edit.of_tokens()
        value = torch.where(scale.isnan(), shift, scale.nan_to_num(0) * value + shift)
    (one,) = combined(edits)
    scale, shift = one.of_tokens()
    found = torch.where(scale.isnan(), shift, scale.nan_to_num(0) * q + shift)
    assert_close(found, value)
    ds = torch.randn_like(q)
    tables = [table for edit in edits for table in (edit.scale, edit.shift)]
    mine = torch.autograd.grad(found, tables, ds)
    theirs = torch.autograd.grad(value, tables, ds)
    for a, b in zip(mine, theirs, strict=True):
        assert_close(a, b, kind="gradient")


def test_double_backward_through_an_edit():
    lengths, I, H = [3, 2], 2, 3
    for engine in (each.name for each in EDITING):
        for name in ("lstm-peepholes", "gru", "rnn-tanh"):
            tensors = leaves(name, lengths, I, H)
            edits = [random_edit(q, 5, H, torch.float64) for q in SUBJECTS[name].cell.quantities]
            shifts = [edit.shift for edit in edits]

            def run(*given, edits=edits, name=name, tensors=tensors, engine=engine):
                changed = tuple(
                    edit._replace(scale=edit.scale.detach(), shift=shift)
                    for edit, shift in zip(edits, given[1:], strict=True)
                )
                call = call_of(name, [given[0], *tensors[1:]], lengths)
                return ops.run(call._replace(edits=changed), engine).h

            assert torch.autograd.gradgradcheck(run, (tensors[0], *shifts))


def test_the_fused_operation_cannot_be_edited():
    lengths, I, H = PACKINGS["dense"]
    edit = random_edit("cell", sum(lengths), H, torch.float32)
    call = call_of("lstm", leaves("lstm", lengths, I, H, torch.float32), lengths)
    with pytest.raises(EngineError, match="cannot be edited"):
        ops.run(call._replace(edits=(edit,)), "torch")
    assert TABLE["torch"].refuses(call) is None
