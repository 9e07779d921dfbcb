"""The named variants: one step of each against the published equations; names, lines, weights."""

import copy
import pickle
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from tests.cells import published
from tests.cells.published import Noise
from tests.cells.zoo_of_variants import LETTERS, NAMES, OPENS, SQUARE, STATES, drawn
from tests.tolerances import assert_close
from torch import Tensor

from glasscell import cells
from glasscell.cells import (
    ALIASES,
    EXPONENTIAL,
    GRU,
    LSTM,
    MUT,
    RELU,
    RNN,
    SIGMOID,
    SLSTM,
    TANH,
    VARIANTS,
    Cell,
    GateMap,
    GateRecurrence,
    NormalisedGRU,
    Squash,
    StepNoise,
    Weights,
    spec,
)

B, I, H = 5, 3, 4
BESIDE = ("fgr", "layer_norm_lstm", "janet", "slstm", "min_lstm")  # their papers project nothing
# What the published equations call the gates that are recorded, where they have two sets of them.
RECORDED = {"slstm": {"i": "written", "f": "kept"}}
# Gates whose complement, or share, is of their odds or not published at all.
UNDRAWN = ("janet", "min_lstm", "min_gru", "slstm")


def states_of(name: str) -> tuple[str, ...]:
    """The letters of what is carried beside h."""
    if name == "fgr":
        return ("c", "i", "f", "o")
    return STATES.get(name, ("c",)) if VARIANTS[name].has_cell_state else ()


def setting(name: str, P: int = H, bias: bool = True):
    """x, h, c and the weights of a step, and the same for the published equations."""
    cell = VARIANTS[name]
    inputs = H if name in SQUARE else I
    shapes = cell.shapes(inputs, H, P, bias)
    w = Weights(**{k: torch.randn(shape, dtype=torch.float64) for k, shape in shapes.items()})
    x, h = torch.randn(B, inputs).double(), torch.randn(B, P).double()
    c = torch.rand(B, cell.C * H).double() + 0.5 if cell.has_cell_state else None
    before = {"h": h.numpy()}
    if c is not None:
        parts = c.chunk(cell.C, -1)
        before |= {k: part.numpy() for k, part in zip(states_of(name), parts, strict=True)}
    arrays = {
        LETTERS.get(letter, letter): tensor.numpy()
        for letter, tensor in w._asdict().items()
        if tensor is not None
    }
    return x, h, c, w, before, arrays


def assert_published(name: str, step: cells.Step, expected: dict[str, np.ndarray]) -> None:
    """Every pre-activation, gate and state."""
    cell = VARIANTS[name]
    names = RECORDED.get(name, {})
    for k, gate in enumerate(cell.gates):
        at = gate.letter
        pre, value = expected[f"{at}_pre"], expected[names.get(at, at)]
        assert_close(step.pre[:, k], torch.from_numpy(pre), f"{gate.name} before its squash")
        assert_close(step.gates[:, k], torch.from_numpy(value), gate.name)
    assert_close(step.h, torch.from_numpy(expected["h"]), "hidden")
    if step.c is not None:
        parts = step.c.chunk(cell.C, -1)
        for state, letter, part in zip(cell.carried, states_of(name), parts, strict=True):
            assert_close(part, torch.from_numpy(expected[letter]), state)


@pytest.mark.parametrize("bias", [True, False], ids=["", "nobias"])
@pytest.mark.parametrize("name", NAMES)
def test_a_step_is_the_published_one(name, bias):
    x, h, c, w, before, arrays = setting(name, bias=bias)
    step = VARIANTS[name].step(x, h, c, w)
    assert_published(name, step, published.step(name, x.numpy(), before, arrays))


@pytest.mark.parametrize("name", [n for n in NAMES if VARIANTS[n].has_cell_state])
def test_a_projected_step(name):
    """Projected is what would be shown: V times the hidden state of the same step without."""
    x, h, c, w, before, arrays = setting(name, P=2)
    step = VARIANTS[name].step(x, h, c, w)
    assert w.V is not None
    if name not in BESIDE:
        assert_published(name, step, published.step(name, x.numpy(), before, arrays))
    # the same sums from a hidden state of H numbers, whose last ones no gate reads
    wide = torch.zeros(len(w.U), H).double()
    wide[:, :2] = w.U
    whole = torch.cat((h, torch.zeros(B, H - 2).double()), -1)
    other = VARIANTS[name].step(x, whole, c, w._replace(U=wide, V=None))
    assert_close(step.h, other.h @ w.V.T, "hidden")
    assert_close(step.c, other.c, "what is carried")


@pytest.mark.parametrize("name", NAMES)
def test_a_step_with_what_is_held_and_what_is_not_read(name):
    """Zoneout of both states, one by lot and one in expectation, and a mask of the recurrence."""
    x, h, c, w, before, arrays = setting(name)
    cell = VARIANTS[name]
    held, mask = torch.randint(0, 2, (B, H)).double(), 2 * torch.randint(0, 2, (B, H)).double()
    noise: dict[str, Any] = {"keep_h": held.numpy(), "mask": mask.numpy()}
    stays: dict[str, Tensor | float] = {"hidden": held}
    # What an output gate peeks at is held before.
    if cell.has_cell_state and "output_gate" not in cell.peepholes:
        noise["keep_c"], stays["cell"] = 0.3, 0.3
    step = cell.step(x, h, c, w, noise=StepNoise(stays=stays, mask=mask))
    expected = published.step(name, x.numpy(), before, arrays, Noise(**noise))
    assert_published(name, step, expected)


@pytest.mark.parametrize("name", [n for n in NAMES if n not in UNDRAWN and VARIANTS[n].G > 1])
def test_a_step_with_drawn_gates(name):
    x, h, c, w, before, arrays = setting(name)
    cell = drawn(VARIANTS[name], "bernoulli")
    gates = [gate for gate in cell.gates if gate.stochastic]
    assert {gate.squash for gate in gates} <= set(OPENS)
    uniform = {gate.name: torch.rand(B, H).double() for gate in gates}
    noise = Noise(uniform={gate.letter: uniform[gate.name].numpy() for gate in gates})
    step = cell.step(x, h, c, w, noise=StepNoise(draws=uniform))
    assert_published(name, step, published.step(name, x.numpy(), before, arrays, noise))
    plain = cell.step(x, h, c, w)
    assert_published(name, plain, published.step(name, x.numpy(), before, arrays))


@pytest.mark.parametrize("name", ["janet", "min_gru", "slstm"])
def test_gates_that_are_drawn_where_nobody_published_it(name):
    """The sums of the cell's own definition, from the gates as they were drawn."""
    x, h, c, w, *_ = setting(name)
    cell = drawn(VARIANTS[name], "bernoulli")
    uniform = {gate.name: torch.rand(B, H).double() for gate in cell.gates if gate.stochastic}
    step = cell.step(x, h, c, w, noise=StepNoise(draws=uniform))
    plain = cell.step(x, h, c, w)
    for k, gate in enumerate(cell.gates):
        if gate.stochastic:
            assert torch.equal(step.gates[:, k], (uniform[gate.name] < plain.gates[:, k]).double())
    carry = cell.carry(step.gates)
    assert carry is not None
    keep, write = carry
    state, before = (step.h, h) if c is None or step.c is None else (step.c[:, :H], c[:, :H])
    assert_close(state, keep * before + write)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_carried_is_kept_and_written(name):
    """state_t = keep * state_{t-1} + write, from the gates alone."""
    x, h, c, w, *_ = setting(name)
    cell = VARIANTS[name]
    step = cell.step(x, h, c, w)
    carry = cell.carry(step.gates)
    if carry is None:
        assert cell.kind == "rnn"
        return
    keep, write = carry
    state, before = (step.h, h) if c is None or step.c is None else (step.c[:, :H], c[:, :H])
    assert_close(keep * before + write, state)
    if cell.keeping_gate is not None and name != "min_lstm":
        assert_close(keep, step.gates[:, cell.gates.index(cell.keeping_gate)])


@pytest.mark.parametrize("name", NAMES)
def test_the_gate_said_to_keep_the_state_does(name):
    """More or less of it stays as that gate opens; where none is said to, none changes it."""
    cell = VARIANTS[name]
    gates = torch.full((cell.G, 1), 0.25, dtype=torch.float64)
    changes = {}
    for k, gate in enumerate(cell.gates):
        opened = gates.clone()
        opened[k] = 0.75
        before, after = cell.carry(gates), cell.carry(opened)
        if before is not None and after is not None:
            changes[gate.name] = int((after[0] - before[0]).sign())
    if cell.keeping is None:
        assert not any(changes.values())
    else:
        gate, sign = cell.keeping
        assert gate in cell.gates
        assert changes[gate.name] == sign
        assert cell.keeping_gate == (gate if sign > 0 else None)


# a norm is over all gates together
@pytest.mark.parametrize("name", [name for name in NAMES if "layer_norm" not in name])
def test_a_gates_rows_are_its_part_of_the_sums(name):
    """With no other rows than these in W and U, no other gate gets anything."""
    x, h, _, w, *_ = setting(name, bias=False)
    cell = VARIANTS[name]
    for gate in cell.gates:
        bare = w._replace(W=torch.zeros_like(w.W), U=torch.zeros_like(w.U))
        nothing = cell.preactivations(x, h, bare)[0]
        for letter in ("W", "U"):
            rows, own = cell.rows(gate, letter, w), cell.rows(gate, letter, bare)
            assert (rows is None) == (gate not in cell.gates_in(letter))
            if rows is not None and own is not None:
                own.copy_(rows)
        changed = (cell.preactivations(x, h, bare)[0] - nothing).abs().amax((0, 2)) > 0
        there = [each.name for each, found in zip(cell.gates, changed, strict=True) if found]
        assert there == [gate.name]


# Weights


@pytest.mark.parametrize("name", NAMES)
def test_the_shapes_of_weights(name):
    """Rows for the gates that are there, in their order; one peephole's row each."""
    inputs = H if name in SQUARE else I
    cell, paper = VARIANTS[name], published.VARIANTS[name]
    expected = {
        {v: k for k, v in LETTERS.items()}.get(letter, letter): shape
        for letter, shape in paper.shapes(inputs, H).items()
    }
    found = cell.shapes(inputs, H, H)
    assert found == expected
    assert [*found] == [letter for letter in Weights._fields if letter in found]
    assert "b_x" not in cell.shapes(inputs, H, H, bias=False)
    assert "b_h" not in cell.shapes(inputs, H, H, bias=False)
    assert [gate.letter for gate in cell.gates] == list(paper.gates)
    assert tuple(gate.letter for gate in cell.gates if gate.peephole) == tuple(paper.rows.p)


@pytest.mark.parametrize("name", SQUARE)
def test_cells_that_add_their_input_say_what_size_it_has(name):
    with pytest.raises(ValueError, match=r"input_size == hidden_size, got 3 and 4.*Linear\(3, 4\)"):
        VARIANTS[name].shapes(3, 4, 4)


# Names and lines


@pytest.mark.parametrize("name", NAMES)
def test_a_cell_is_found_by_its_name_and_by_its_line(name):
    cell = VARIANTS[name]
    assert cells.named(name) == cell
    line = spec.write(cell)
    assert spec.read(line) == cell
    assert cells.named(line) == cell
    assert cells.name_of(cell) == name
    assert cells.name_of(spec.read(line)) == name
    assert hash(spec.read(line)) == hash(cell)
    for other in (copy.deepcopy(cell), pickle.loads(pickle.dumps(cell))):
        assert other == cell
        assert cells.name_of(other) == name


@pytest.mark.parametrize("how", ["bernoulli", "gumbel"])
@pytest.mark.parametrize("name", [n for n in NAMES if drawn(VARIANTS[n], "gumbel") != VARIANTS[n]])
def test_a_line_says_how_gates_are_drawn(name, how):
    cell = drawn(VARIANTS[name], how)
    line = spec.write(cell)
    assert how in line
    assert spec.read(line) == cell
    assert cells.name_of(cell) is None


def test_no_two_variants_are_the_same():
    lines = [spec.write(cell) for cell in VARIANTS.values()]
    assert len(set(lines)) == len(lines)
    assert not VARIANTS.keys() & ALIASES.keys()


def test_aliases():
    assert cells.named("vanilla") is VARIANTS["peephole"]
    assert cells.named("np") is VARIANTS["lstm"]
    assert set(published.VARIANTS) == {*VARIANTS, *ALIASES}


def test_lines_of_configurations_that_have_no_name():
    cell = cells.named("lstm(forget_gate=None, output_gate=None)")
    assert isinstance(cell, LSTM)
    assert [gate.name for gate in cell.gates] == ["input_gate", "candidate"]
    assert cells.name_of(cell) is None
    assert cells.named("slstm(forgetting='exponential')") == SLSTM(forgetting="exponential")
    beta = cells.named("lstm(input_gate=None, sharing='complement', beta=0.5)")
    assert isinstance(beta, LSTM)
    assert beta.beta == 0.5
    assert cells.named("gru(reset_after=False)") == VARIANTS["gru_reset_before"]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("pephole", "no variant 'pephole'; did you mean peephole"),
        ("mut4", "did you mean mut"),
        ("zzz", "no variant 'zzz': lstm, peephole"),
        ("LSTM", "no variant 'LSTM'"),
        ("transformer(heads=4)", "the kinds are"),
        ("lstm(forget=None)", "there is no forget"),
        ("lstm(forget_gate=7)", r"forget_gate: expected gate\(\.\.\.\) or None, got 7"),
        ("lstm(output_squash=softsign)", "not softsign"),
        ("lstm(", "expected a line such as lstm"),
    ],
)
def test_what_names_no_cell_is_told_why(wrong, message):
    with pytest.raises(ValueError, match=message):
        cells.named(wrong)


def test_something_else_is_no_cell():
    with pytest.raises(TypeError, match="expected a variant's name, a line or a Cell, got float"):
        cells.named(1.5)  # type: ignore[arg-type]


# Definitions that no cell runs


def loose(kind: Any) -> Any:
    """The same, for what its types forbid."""
    return kind


def _gate(name: str, *reads: str, squash=SIGMOID) -> GateMap:
    """By its name, "reset_gate", or letter and name, "z:update_gate"."""
    letter, _, rest = name.rpartition(":")
    return GateMap(rest, letter or rest[0], squash, reads)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: loose(LSTM)(candidate=None), "candidate: expected a gate map, got None"),
        (lambda: loose(GRU)(update_gate=None), "update_gate: expected a gate map, got None"),
        (lambda: loose(RNN)(hidden=None), "hidden: expected a gate map, got None"),
        (lambda: loose(SLSTM)(input_gate=None), "input_gate: expected a gate map, got None"),
        (lambda: loose(MUT)(candidate="tanh"), "candidate: expected a gate map, got 'tanh'"),
        (lambda: LSTM(forget_gate=_gate("i:forget_gate", "x", "h")), "'f', got .* and 'i'"),
        (lambda: LSTM(forget_gate=LSTM().input_gate), "expected its own name and letter"),
        (lambda: loose(LSTM)(output_squash=None), "output_squash: expected a squash"),
        (lambda: loose(LSTM)(output_squash="tanh"), "output_squash: expected a squash"),
        (lambda: loose(GRU)(reset_after="no"), "reset_after: expected True or False, got 'no'"),
        (
            lambda: LSTM(input_gate=None, sharing="complement", beta=100.0),
            "beta: expected from -60 to 60, got 100",
        ),
        (
            lambda: loose(GateMap)("g", "g", SIGMOID, stochastic="gumbel", temperature="a"),
            "temperature: expected more than 0, got 'a'",
        ),
        (
            lambda: GateMap("g", "g", EXPONENTIAL, stochastic="bernoulli"),
            "exponential, which gives no odds",
        ),
        (lambda: LSTM(sharing="half"), "sharing: expected one of"),
        (lambda: LSTM(sharing="complement"), '"complement" takes 1 of input_gate and forget_gate'),
        (
            lambda: LSTM(input_gate=None, sharing="normalized"),
            '"normalized" takes 2 of input_gate and forget_gate, got 1',
        ),
        (lambda: LSTM(beta=1.0), "beta: only the complement of a forget gate"),
        (
            lambda: LSTM(forget_gate=None, sharing="complement", beta=1.0),
            "beta: only the complement of a forget gate",
        ),
        (
            lambda: LSTM(input_gate=_gate("input_gate", "x", "h", "c")),
            r"input_gate: an LSTM runs it reading x \[h\] \[c_prev\], got x h c",
        ),
        (
            lambda: LSTM(candidate=_gate("g:candidate", "x", "h", "c_prev")),
            "candidate: an LSTM runs",
        ),
        (lambda: LSTM(candidate=_gate("g:candidate", "h")), "candidate: an LSTM runs"),
        (
            lambda: LSTM(candidate=_gate("g:candidate", "x")),
            "all gates of an LSTM to read h or none",
        ),
        (lambda: GRU(update_gate=_gate("z:update_gate", "x")), "all gates of a GRU to read h"),
        (
            lambda: GRU(
                reset_gate=_gate("reset_gate", "x"),
                update_gate=_gate("z:update_gate", "x"),
                candidate=_gate("n:candidate", "x"),
            ),
            "expected reset_gate=None",
        ),
        (lambda: RNN(_gate("hidden", "x", "h", "h_own")), "all units of the past, or its own"),
        (lambda: RNN(_gate("hidden", "x", "c")), "hidden: an RNN runs it reading"),
        (lambda: SLSTM(forgetting="slowly"), "forgetting: expected one of"),
        (lambda: SLSTM(input_gate=GateMap("input_gate", "i", SIGMOID)), "are exponential"),
        (lambda: SLSTM(output_gate=_gate("output_gate", "x")), "an slstm runs it reading"),
        (
            lambda: SLSTM(forget_gate=replace(SLSTM().forget_gate, stochastic="bernoulli")),
            "gives no odds",
        ),
        (lambda: GateRecurrence(output_gate=_gate("output_gate", "x", "h")), "runs it reading"),
        (lambda: NormalisedGRU(reset_gate=_gate("reset_gate", "x")), "runs it reading"),
        (lambda: MUT(reset_gate=_gate("reset_gate", "x", "c")), "reset_gate: a MUT cell runs it"),
        (lambda: MUT(reset_gate=_gate("reset_gate", "h", "tanh_h")), "to read h or tanh_h"),
        (
            lambda: MUT(candidate=_gate("n:candidate", "x", squash=TANH)),
            r"reading .*\[tanh_x\] h, got x",
        ),
    ],
)
def test_what_no_cell_runs_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", NAMES)
def test_every_squash_of_a_definition_counts(name):
    """A cell with another squash in one place is another cell."""
    cell: Cell = VARIANTS[name]
    lines = {spec.write(cell)}
    for field in fields(cell):  # type: ignore[arg-type]
        value = getattr(cell, field.name)
        squash = value.squash if isinstance(value, GateMap) else value
        # an sLSTM's input and forget gates can have no other
        if isinstance(squash, Squash) and squash is not EXPONENTIAL:
            other = RELU if squash is not RELU else TANH
            other = replace(value, squash=other) if isinstance(value, GateMap) else other
            changed: Cell = replace(cell, **{field.name: other})  # type: ignore[type-var]
            assert changed != cell
            assert spec.read(spec.write(changed)) == changed
            lines.add(spec.write(changed))
    with_one = [gate for gate in cell.gates if gate.squash is not EXPONENTIAL]
    assert len(lines) == 1 + len(with_one) + hasattr(cell, "output_squash")
