"""Which engine runs, why, and what happens to an engine that cannot."""

from dataclasses import dataclass

import pytest
import torch
from tests.cells.zoo import SUBJECTS
from tests.engines import subjects
from torch.autograd import forward_ad
from torch.func import grad, jacfwd, jacrev, jvp, vmap

import glasscell
from glasscell import GRU, LSTM, RNN, EngineError, explain_engine, ops
from glasscell.engines import ENGINES, Call, Packing, choose, explain
from glasscell.engines.native import kernels

BUILT = kernels() is not None


def call_of(name: str) -> Call:
    subject = SUBJECTS[name]
    c_0 = torch.zeros(2, 4).double() if subject.cell.has_cell_state else None
    x, h_0 = torch.zeros(6, 3).double(), torch.zeros(2, subject.P(4)).double()
    return Call(subject.cell, subject.weights(3, 4), x, Packing.dense(3, 2), h_0, c_0)


@pytest.mark.parametrize(
    "engine", [*subjects.ENGINES, subjects.SCAN], ids=lambda engine: engine.name
)
@pytest.mark.parametrize("name", SUBJECTS)
def test_an_engine_refuses_exactly_what_the_matrix_does_not_run(name, engine):
    refusal = ENGINES[engine.name].refuses(call_of(name))
    assert (refusal is None) == (name in engine.subjects)


def test_every_engine_is_under_test():
    assert {*subjects.NAMES, "native", subjects.SCAN.name} == set(ENGINES)
    assert ("native" in subjects.NAMES) == BUILT


@pytest.mark.parametrize("name", SUBJECTS)
def test_auto_takes_the_first_that_can(name):
    call = call_of(name)
    fallback = "reference" if "peephole" in name else "torch"
    expected = "native" if BUILT else fallback
    assert choose(call).name == expected
    assert explain(call).engine == expected


@pytest.mark.parametrize("name", SUBJECTS)
def test_without_the_kernels_auto_takes_the_next_and_says_why(name, monkeypatch):
    monkeypatch.setattr("glasscell.engines.native.kernels", lambda: None)
    call = call_of(name)
    choice = explain(call)
    assert choose(call).name == choice.engine == ("reference" if "peephole" in name else "torch")
    assert "native     cannot: the kernels were not compiled" in str(choice)
    with pytest.raises(EngineError, match=r'engine="native" cannot run .* not compiled'):
        ops.run(call, "native")


@dataclass
class Pretender:
    """An engine that says what a test wants it to."""

    name: str
    refusal: str | None = None

    def refuses(self, call: Call) -> str | None:
        return self.refusal


@pytest.mark.parametrize(
    ("native", "torch_", "scan", "expected"),
    [
        (None, None, None, "native"),
        (None, "cannot", None, "native"),
        ("cannot", None, None, "torch"),
        ("cannot", "cannot", None, "scan"),
        ("cannot", "cannot", "cannot", "reference"),
    ],
)
def test_the_first_of_the_table_that_can_is_picked(native, torch_, scan, expected, monkeypatch):
    table = (
        Pretender("native", native),
        Pretender("torch", torch_),
        Pretender("scan", scan),
        Pretender("reference"),
    )
    for engine in table:
        monkeypatch.setitem(ENGINES, engine.name, engine)
    call = call_of("lstm")
    choice = explain(call)
    assert choose(call).name == choice.engine == expected
    assert choice.refusals == {each.name: each.refusal for each in table}


def test_the_reference_runs_everything():
    assert all(ENGINES["reference"].refuses(call_of(name)) is None for name in SUBJECTS)


def test_an_engine_asked_for_by_name_runs_or_raises():
    call = call_of("lstm-peepholes")
    with pytest.raises(EngineError, match=r'engine="torch" cannot run this call: .*this cell'):
        ops.run(call, "torch")
    told = explain(call, "torch")
    assert told.engine is None
    assert "torch was asked for by name and cannot" in str(told)
    assert ops.run(call, "reference").h.shape == (6, 4)
    assert ops.run(call_of("lstm"), "torch").h.shape == (6, 4)


def test_an_engine_error_is_a_runtime_error():
    assert issubclass(EngineError, RuntimeError)


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("engine", [name for name in subjects.NAMES if name != "reference"])
def test_a_layer_whose_engine_cannot_run_says_so_instead_of_changing_it(engine):
    layer = LSTM(3, 4, engine=engine)
    run = lambda x: layer(x)[0]  # noqa: E731
    x = torch.randn(2, 5, 1, 3)
    transformed = (
        lambda: vmap(run)(x),
        lambda: jacrev(run)(x[0]),
        lambda: jacfwd(run)(x[0]),
        lambda: grad(lambda x: run(x).sum())(x[0]),
        lambda: jvp(run, (x[0],), (x[1],)),
    )
    for compute in transformed:
        with pytest.raises(EngineError, match=rf'engine="{engine}" .*torch\.func transform'):
            compute()
    with forward_ad.dual_level(), pytest.raises(EngineError, match="forward-mode"):
        layer(forward_ad.make_dual(x[0], x[1]))
    assert layer(x[0])[0].shape == (5, 1, 4)


def test_the_explanation_gives_the_engine_and_every_refusal():
    text = str(explain(call_of("lstm-peepholes")))
    first, *rest = text.splitlines()
    expected = "native" if BUILT else "reference"
    assert first == f"{expected} runs it: the fastest engine that can"
    assert [line.split()[0] for line in rest] == list(ENGINES)
    assert "cannot: PyTorch has no fused operation for this cell" in text
    assert "can run it" in rest[-1]


@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
def test_the_explanation_of_a_layer(layer_class):
    x = torch.randn(5, 2, 3)
    layer = layer_class(3, 4)
    choice = explain_engine(layer, x)
    expected = "native" if BUILT else "torch"
    assert (choice.engine, choice.asked_for) == (expected, "auto")
    assert str(choice).startswith(f"{expected} runs it: the fastest engine that can")
    layer.engine = "reference"
    choice = explain_engine(layer, x, lengths=[5, 2])
    assert (choice.engine, choice.asked_for) == ("reference", "reference")
    assert str(choice).startswith("reference runs it: it was asked for by name")


def test_explaining_refuses_what_the_layer_would():
    layer = LSTM(3, 4)
    with pytest.raises(glasscell.InputError, match="input: expected"):
        explain_engine(layer, torch.randn(5, 2, 4))
    with pytest.raises(glasscell.InputError, match="h_0: expected"):
        explain_engine(layer, torch.randn(5, 2, 3), (torch.zeros(1, 3, 4), torch.zeros(1, 2, 4)))
    with pytest.raises(TypeError, match="layer: expected"):
        explain_engine(torch.nn.LSTM(3, 4), torch.randn(5, 2, 3))  # type: ignore[arg-type]


@pytest.mark.parametrize("layer_class", [LSTM, GRU, RNN])
def test_an_unknown_engine_is_refused_when_it_is_named(layer_class):
    names = '"auto", "native", "torch", "scan", "reference"'
    expected = f"engine: expected one of {names}, got 'cuda'"
    with pytest.raises(ValueError, match=expected):
        layer_class(3, 4, engine="cuda")
    layer = layer_class(3, 4)
    with pytest.raises(ValueError, match=expected):
        layer.engine = "cuda"
    assert layer.engine == "auto"


@pytest.mark.parametrize(
    "line",
    [
        "lstm(forget_gate=gate(squash=exponential))",
        "lstm(output_squash=exponential)",
        "gru(candidate=gate(squash=exponential))",
        "rnn(hidden=gate(squash=exponential))",
        "slstm(candidate=gate(squash=exponential))",
    ],
)
def test_exponentials_stand_in_an_slstms_two_gates_alone(line):
    torch.manual_seed(0)
    layer = glasscell.Recurrent(3, 4, cell=line)
    choice = glasscell.explain_engine(layer, torch.randn(5, 2, 3))
    assert choice.engine == "reference"
    assert "do not know the squash exponential" in str(choice.refusals["native"])
