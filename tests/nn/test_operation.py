"""glasscell::recurrence: what PyTorch asks of an operation, and the reference's numbers."""

import math
import weakref
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch
from tests.cells.zoo import SUBJECTS, Subject
from tests.engines.subjects import ENGINES as UNDER_TEST
from tests.tolerances import assert_close, assert_same_bits
from torch import Tensor

from glasscell.cells import Weights, spec
from glasscell.engines import ENGINES as TABLE
from glasscell.engines import Call, Packing, Record
from glasscell.engines.call import writes_backward
from glasscell.engines.reference import ReferenceEngine
from glasscell.errors import EngineError, InputError
from glasscell.nn.operation import Options, recurrence

OPERATION = torch.ops.glasscell.recurrence.default
BACKWARD = torch.ops.glasscell.recurrence_backward.default

I, H, T, B = 3, 4, 5, 3
LENGTHS = (2, 5, 3)  # of padded sequences
SIZES = (3, 2, 2, 1)  # of packed tokens
NEEDED = [True] * 7 + [False] * (len(Weights._fields) - 4)  # x, h_0, c_0, W, U and the biases
FORMS = ("dense", "lengths", "packed")
ENGINES = tuple(engine.name for engine in UNDER_TEST)

pytestmark = [
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script.*:DeprecationWarning"),
]


@dataclass(frozen=True)
class Example:
    """Arguments of the operation, and the packed tokens that they stand for."""

    x: Tensor
    h_0: Tensor
    c_0: Tensor | None
    weights: Weights
    options: Options

    @property
    def tensors(self) -> list[Tensor]:
        return [t for t in (self.x, self.h_0, self.c_0, *self.weights) if t is not None]

    @property
    def arguments(self) -> tuple:
        return (self.x, self.h_0, self.c_0, *self.weights, *self.options)

    def run(self) -> Record:
        return recurrence(self.x, self.h_0, self.c_0, self.weights, self.options)


def example(subject: Subject, form: str, dtype=torch.float64, grad=True, **options: Any) -> Example:
    rows = {"dense": (T, B), "lengths": (T, B), "packed": (sum(SIZES),)}[form]
    where = {
        "dense": {},
        "lengths": {"lengths": torch.tensor(LENGTHS)},
        "packed": {"batch_sizes": torch.tensor(SIZES)},
    }[form]
    c_0 = torch.randn(B, H, dtype=dtype) if subject.cell.has_cell_state else None
    made = Example(
        x=torch.randn(*rows, I, dtype=dtype),
        h_0=torch.randn(B, subject.P(H), dtype=dtype),
        c_0=c_0,
        weights=subject.weights(I, H, dtype),
        options=Options(cell=spec.write(subject.cell), **where, **options),
    )
    for tensor in made.tensors:
        tensor.requires_grad_(grad)
    return made


def expected(subject: Subject, given: Example) -> Record:
    """The same from the reference, one sequence after the other, laid out as the operation does."""
    x, options = given.x, given.options
    if options.batch_sizes is not None:
        packing = Packing(SIZES)
        call = Call(subject.cell, given.weights, x, packing, given.h_0, given.c_0, options.reverse)
        return ReferenceEngine().run(call)
    singles = []
    for b, n in enumerate(LENGTHS if options.lengths is not None else (T,) * B):
        c_0 = None if given.c_0 is None else given.c_0[b : b + 1]
        h_0, packing = given.h_0[b : b + 1], Packing.dense(n, 1)
        call = Call(subject.cell, given.weights, x[:n, b], packing, h_0, c_0, options.reverse)
        singles.append(ReferenceEngine().run(call))

    def steps(name: str) -> Tensor | None:
        if getattr(singles[0], name) is None:
            return None
        return torch.nn.utils.rnn.pad_sequence([getattr(each, name) for each in singles])

    def states(name: str) -> Tensor | None:
        found = [getattr(each, name) for each in singles]
        return None if found[0] is None else torch.cat(found)

    each = {name: steps(name) for name in ("h", "c", "gates", "pre")}
    return Record(**each, h_n=states("h_n"), c_n=states("c_n"))  # type: ignore[arg-type]


CASES = [
    pytest.param(name, engine.name, form, reverse, id=f"{name}-{engine.name}-{form}-{reverse}")
    for engine in UNDER_TEST
    for name in engine.subjects
    for form in FORMS
    for reverse in (False, True)
]


@pytest.mark.parametrize(("name", "engine", "form", "reverse"), CASES)
def test_values_and_gradients(name, engine, form, reverse):
    subject = SUBJECTS[name]
    given = example(subject, form, engine=engine, reverse=reverse, record=True)
    found, wanted = given.run(), expected(subject, given)
    outputs = [(n, v, getattr(wanted, n)) for n, v in found._asdict().items() if v is not None]
    assert len(outputs) == (6 if subject.cell.has_cell_state else 4)
    for key, mine, theirs in outputs:
        assert_close(mine, theirs, key)
    ds = [torch.randn_like(mine) for _, mine, _ in outputs]
    mine = torch.autograd.grad([v for _, v, _ in outputs], given.tensors, ds)
    theirs = torch.autograd.grad([v for _, _, v in outputs], given.tensors, ds)
    for a, b in zip(mine, theirs, strict=True):
        assert_close(a, b, kind="gradient")


@pytest.mark.parametrize("output", ["h", "h_n", "c_n", "c", "gates", "pre"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_a_loss_on_one_output_alone(form, engine, output):
    subject = SUBJECTS["lstm"]
    given = example(subject, form, engine=engine, record=True)
    inputs = given.tensors
    found, wanted = (getattr(r, output) for r in (given.run(), expected(subject, given)))
    d = torch.randn_like(found)
    mine = torch.autograd.grad(found, inputs, d)
    theirs = torch.autograd.grad(wanted, inputs, d, allow_unused=True)
    for a, b in zip(mine, theirs, strict=True):
        assert_close(a, torch.zeros_like(a) if b is None else b, kind="gradient")


@pytest.mark.parametrize(
    ("name", "engine", "form"),
    [
        *(("lstm", "reference", form) for form in FORMS),
        *(("gru", engine, "lengths") for engine in ENGINES),
        *(("rnn-tanh", engine, "packed") for engine in ENGINES),
    ],
)
def test_opcheck(name, engine, form):
    given = example(SUBJECTS[name], form, engine=engine, record=form == "dense")
    torch.library.opcheck(OPERATION, given.arguments)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tape_that_got_lost_is_made_again(engine):
    """As where a graph's saved tensors are kept as copies: on another device, on a disk."""
    given = example(SUBJECTS["lstm"], "lengths", engine=engine, record=True)
    kept = given.run()
    with torch.autograd.graph.saved_tensors_hooks(torch.clone, lambda t: t):
        lost = given.run()
    for name in ("h", "h_n", "c_n", "c", "gates", "pre"):
        mine, theirs = (
            torch.autograd.grad(getattr(r, name).square().sum(), given.tensors, retain_graph=True)
            for r in (lost, kept)
        )
        for a, b in zip(mine, theirs, strict=True):
            assert_same_bits(a, b, name)


@pytest.mark.parametrize("overwritten", ["x", "h"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_tape_whose_memory_went_to_others_is_made_again(engine, overwritten):
    """As where a compiler computes again what went in or came out, and does not save it."""
    given = example(SUBJECTS["lstm"], "dense", grad=False, engine=engine, needed=NEEDED)
    tensors = [given.x, given.h_0, given.c_0, *given.weights]
    d = [torch.randn(T, B, H, dtype=torch.float64), *[None] * 5]
    outputs = list(OPERATION(*given.arguments))
    expected = BACKWARD(d, outputs, tensors, *given.options)
    where: list = tensors if overwritten == "x" else outputs
    lost, where[0] = where[0], where[0].clone()
    lost.fill_(math.nan)
    for a, b in zip(BACKWARD(d, outputs, tensors, *given.options), expected, strict=True):
        assert_same_bits(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_tape_is_used_where_inputs_were_computed_again(engine, monkeypatch):
    """As a compiler does with what is cheap; an engine that keeps its steps needs no more."""
    runs: list[Call] = []
    written = writes_backward(TABLE[engine])
    name = "forward" if written else "run"
    original = getattr(TABLE[engine], name)

    def counted(call: Call) -> Any:
        runs.append(call)
        return original(call)

    monkeypatch.setattr(TABLE[engine], name, counted)
    given = example(SUBJECTS["lstm"], "dense", grad=False, engine=engine, needed=NEEDED)
    tensors = [given.x.clone(), given.h_0, given.c_0, *given.weights]
    d = [torch.randn(T, B, H, dtype=torch.float64), *[None] * 5]
    BACKWARD(d, list(OPERATION(*given.arguments)), tensors, *given.options)
    assert len(runs) == (1 if written else 2)


def test_a_tape_goes_with_its_graph():
    given = example(SUBJECTS["lstm"], "dense", engine="torch")
    output = given.run().h
    node: Any = output.grad_fn
    tape = weakref.ref(node.saved_tensors[-1].kept.tape)
    del node
    assert tape() is not None
    output.sum().backward(retain_graph=True)
    assert tape() is not None
    output.sum().backward()
    assert tape() is None


def test_autocast_is_an_option_of_the_graph():
    given = example(SUBJECTS["lstm"], "dense", torch.float32, engine="reference")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = given.run().h
    option = replace(given, options=given.options._replace(autocast=torch.bfloat16)).run().h
    assert output.dtype == torch.bfloat16
    assert_same_bits(option, output)
    assert given.run().h.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn-tanh"])
def test_opcheck_under_autocast(name, engine, dtype):
    given = example(SUBJECTS[name], "dense", dtype, engine=engine, autocast=torch.bfloat16)
    torch.library.opcheck(OPERATION, given.arguments, test_utils="test_faketensor")


def test_gradients_of_gradients_are_refused():
    given = example(SUBJECTS["lstm"], "dense")
    (dx,) = torch.autograd.grad(given.run().h.square().sum(), given.x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        dx.sum().backward()


def test_an_engine_asked_for_runs_or_raises():
    given = example(SUBJECTS["lstm-peepholes"], "dense", engine="torch")
    with pytest.raises(EngineError, match="no fused operation"):
        given.run()


def test_states_for_another_number_of_sequences():
    given = example(SUBJECTS["lstm"], "packed")
    wrong = replace(given, h_0=given.h_0[:2])
    with pytest.raises(InputError, match="hx: expected 3 sequences, got 2"):
        wrong.run()


def test_opcheck_of_the_shapes_without_gradients():
    for name in SUBJECTS:
        given = example(SUBJECTS[name], "lengths", grad=False, reverse=True)
        torch.library.opcheck(OPERATION, given.arguments, test_utils="test_faketensor")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("form", FORMS)
def test_gradcheck(form, engine):
    given = example(SUBJECTS["lstm"], form, engine=engine, record=True)

    def run(*tensors):
        x, h_0, c_0, *weights = tensors
        made = replace(given, x=x, h_0=h_0, c_0=c_0, weights=Weights(*weights))
        return [v for v in made.run() if v is not None]

    assert torch.autograd.gradcheck(run, given.tensors, fast_mode=True)
