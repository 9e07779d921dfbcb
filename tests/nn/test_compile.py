"""torch.compile and torch.export on a caller's model with one of our layers in it."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from tests.engines.subjects import ENGINES as UNDER_TEST
from tests.tolerances import assert_close
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import glasscell
from glasscell.engines import ENGINES
from glasscell.errors import InputError

# What PyTorch's compiler itself warns of, and not of our doing.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:torch.*"),
    pytest.mark.filterwarnings("ignore:.torch.jit.script.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]

X = torch.randn(6, 4, 3)
LENGTHS = [6, 2, 4, 1]
AVAILABLE = [engine.name for engine in UNDER_TEST]
DEEP = {"num_layers": 2, "bidirectional": True}


@pytest.fixture(autouse=True)
def _compiled_anew():
    torch._dynamo.reset()


class Tagger(nn.Module):
    def __init__(self, layer: nn.Module, features: int = 8) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.layer = layer
        self.head = nn.Linear(features, 5)

    def forward(self, tokens, lengths=None):
        x = torch.tanh(self.embedding(tokens))
        output, _ = self.layer(x) if lengths is None else self.layer(x, lengths=lengths)
        return self.head(output).log_softmax(-1)


def whole(function, backend: str = "aot_eager", **options) -> Any:
    """The compiled function, which must be one graph."""
    return torch.compile(function, backend=backend, fullgraph=True, **options)


def tensors_of(nest: Any) -> list[torch.Tensor]:
    """Every tensor in nested tuples, and the data of a PackedSequence."""
    if isinstance(nest, PackedSequence):
        return [nest.data]
    return (
        [nest] if isinstance(nest, torch.Tensor) else [t for part in nest for t in tensors_of(part)]
    )


def assert_alike(layer: nn.Module, *given: Any, run: Any = None, **options: Any) -> None:
    """Outputs, states and all gradients of a layer as one graph, against its own eager ones.

    Args:
        run: what runs the layer, eager and compiled; the layer itself if absent.
    """
    run = run or layer
    found, wanted = (tensors_of(each(*given, **options)) for each in (whole(run), run))
    ds = [torch.randn_like(each) for each in wanted]
    inputs = [*layer.parameters(), *(t for t in tensors_of(given) if t.requires_grad)]
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        assert_close(a, b)
    mine, theirs = (torch.autograd.grad(outputs, inputs, ds) for outputs in (found, wanted))
    for a, b in zip(mine, theirs, strict=True):
        assert a.dtype == b.dtype
        assert_close(a, b, kind="gradient")


LAYERS = {
    "lstm": lambda **k: glasscell.LSTM(3, 4, **k),
    "lstm-deep": lambda **k: glasscell.LSTM(3, 4, **DEEP, **k),
    "lstm-projected": lambda **k: glasscell.LSTM(3, 4, proj_size=2, **DEEP, **k),
    "lstm-batch-first": lambda **k: glasscell.LSTM(3, 4, batch_first=True, bias=False, **k),
    "gru": lambda **k: glasscell.GRU(3, 4, **DEEP, **k),
    "rnn-relu": lambda **k: glasscell.RNN(3, 4, nonlinearity="relu", **DEEP, **k),
}


def leaf(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, requires_grad=True)


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_is_part_of_the_graph(name):
    layer = LAYERS[name]()
    assert_alike(layer, leaf(4, 6, 3) if layer.batch_first else leaf(6, 4, 3))


@pytest.mark.parametrize("engine", AVAILABLE)
def test_whichever_engine_runs_it(engine):
    assert_alike(LAYERS["lstm-deep"](engine=engine), leaf(6, 4, 3))


@pytest.mark.parametrize("kind", [list, torch.tensor], ids=["list", "tensor"])
def test_lengths_are_part_of_the_graph(kind):
    layer = LAYERS["lstm-batch-first"](**DEEP)
    assert_alike(layer, leaf(4, 6, 3), lengths=kind(LENGTHS))


def test_so_are_initial_states():
    assert_alike(LAYERS["lstm-projected"](), leaf(6, 4, 3), (leaf(4, 4, 2), leaf(4, 4, 4)))
    assert_alike(LAYERS["gru"](), leaf(6, 4, 3), leaf(4, 4, 4), lengths=LENGTHS)


def test_so_is_a_single_sequence():
    assert_alike(LAYERS["lstm-deep"](), leaf(6, 3))


@pytest.mark.parametrize("is_sorted", [True, False], ids=["sorted", "unsorted"])
def test_so_is_a_packed_sequence(is_sorted):
    lengths = torch.tensor(sorted(LENGTHS, reverse=True) if is_sorted else LENGTHS)
    x = pack_padded_sequence(X, lengths, enforce_sorted=is_sorted)
    assert_alike(LAYERS["gru"](), x, leaf(4, 4, 4))
    layer = LAYERS["lstm"]()
    if not is_sorted:
        assert_alike(layer, x)
        return
    # Only a value says how many sequences there are: the layer runs beside the graph.
    found, _ = torch.compile(layer, backend="eager")(x)
    assert_close(found.data, layer(x)[0].data)


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn"])
def test_so_is_a_single_step(name):
    assert_alike(getattr(glasscell, f"{name.upper()}Cell")(3, 4), leaf(2, 3))


@pytest.mark.parametrize("engine", AVAILABLE)
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_autocast(name, engine):
    layer = LAYERS[name](engine=engine)

    def run(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return layer(x)

    assert_alike(layer, leaf(6, 4, 3), run=run)


def test_autocast_around_a_compiled_layer():
    layer = LAYERS["lstm"]()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = whole(layer)(X)
        assert output.dtype == torch.bfloat16
        assert_close(output, layer(X)[0])


def test_training_dropout_and_eval():
    layer = glasscell.LSTM(3, 4, num_layers=2, dropout=1.0)
    assert_alike(layer, leaf(6, 4, 3))  # everything dropped between the layers
    assert_alike(layer.eval(), leaf(6, 4, 3))


def test_no_graph_is_built_without_gradients():
    layer = LAYERS["lstm-deep"]()
    run = whole(layer)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            output, _ = run(X)
        assert not output.requires_grad
        assert_close(output, layer(X)[0])


def trained(model, run, steps: int = 3) -> tuple[list[float], list[torch.Tensor]]:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tokens, losses = torch.arange(24).reshape(6, 4) % 11, []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = run(tokens)[..., 0].mean()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, [weight.detach() for weight in model.parameters()]


def twins(layer_class, **options) -> tuple[Tagger, Tagger]:
    plain, compiled = (Tagger(layer_class(3, 4, **DEEP, **options)) for _ in range(2))
    compiled.load_state_dict(plain.state_dict())
    return plain, compiled


def assert_trains_alike(plain, compiled, backend):
    losses, weights = trained(plain, plain)
    compiled_losses, compiled_weights = trained(compiled, whole(compiled, backend))
    assert losses == pytest.approx(compiled_losses, abs=1e-6)
    for a, b in zip(compiled_weights, weights, strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("layer_class", [glasscell.LSTM, glasscell.GRU])
def test_train_steps(layer_class):
    assert_trains_alike(*twins(layer_class), backend="aot_eager")


def count_forwards(monkeypatch, engine: str) -> list[int]:
    """A list that grows with every forward of the engine."""
    method, runs = "forward" if hasattr(ENGINES[engine], "forward") else "run", []
    original = getattr(ENGINES[engine], method)
    monkeypatch.setattr(ENGINES[engine], method, lambda call: runs.append(1) or original(call))
    return runs


@pytest.mark.parametrize("engine", AVAILABLE)
def test_a_train_step_runs_each_recurrence_once(engine, monkeypatch):
    runs = count_forwards(monkeypatch, engine)
    _, model = twins(glasscell.LSTM, engine=engine)
    trained(model, whole(model), steps=3)
    assert len(runs) == 3 * 4


@pytest.mark.parametrize("dynamic", [True, None], ids=["dynamic", "by-itself"])
def test_one_graph_for_all_numbers_of_steps_and_sequences(dynamic):
    graphs = []

    def count(graph, _):
        graphs.append(len(graph.graph.nodes))
        return graph.forward

    plain, model = twins(glasscell.LSTM)
    run = whole(model, count, dynamic=dynamic)  # type: ignore[arg-type]
    with torch.no_grad():
        for T, B in ((5, 2), (50, 3), (7, 4), (70, 2)):
            tokens = torch.arange(T * B).reshape(T, B) % 11
            lengths = torch.randint(1, T + 1, (B,))
            assert_close(run(tokens), plain(tokens))
            assert_close(run(tokens, lengths), plain(tokens, lengths))
    assert len(graphs) == (2 if dynamic else 4)  # without lengths, and with; else fixed sizes first
    assert max(graphs) < 80


def test_errors_come_from_the_run():
    layer = LAYERS["lstm"]()
    run = whole(layer)
    with pytest.raises(InputError, match="lengths: expected 1 to 6"):
        run(X, lengths=torch.tensor([6, 2, 7, 1]))
    with pytest.raises(InputError, match="lengths: expected 4, one for each"):
        run(X, lengths=torch.tensor([6, 2]))


def test_an_output_changed_in_place_is_noticed():
    """As in eager mode: the backward needs it."""
    output, _ = whole(LAYERS["lstm"]())(X)
    with torch.no_grad():
        output.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("engine", AVAILABLE)
def test_last_states_changed_in_place_do_as_without_a_compiler(engine):
    layer = glasscell.LSTM(3, 8, engine=engine)

    def loss(x: torch.Tensor) -> torch.Tensor:
        output, (h, c) = layer(x)
        return output.sum() + h.mul_(2).sum() + c.mul_(3).sum()

    x = leaf(6, 4, 3)
    (expected,) = torch.autograd.grad(loss(x), x)
    (found,) = torch.autograd.grad(whole(loss)(x), x)
    assert_close(found, expected, kind="gradient")


def test_lengths_and_a_trace_in_a_compiled_model():
    plain, model = twins(glasscell.LSTM)
    run: Any = torch.compile(model, backend="eager")
    tokens = torch.arange(24).reshape(6, 4) % 11
    lengths = torch.tensor(LENGTHS)
    assert_close(run(tokens, lengths), plain(tokens, lengths))
    with glasscell.trace(run) as trace:
        output = run(tokens, lengths)
    assert trace.names == ("layer.l0", "layer.l0_reverse", "layer.l1", "layer.l1_reverse")
    assert_close(output, plain(tokens, lengths))
    assert_close(run(tokens, lengths), output)


def test_transforms_within_a_compiled_function():
    layer = LAYERS["lstm"]()
    mapped = torch.randn(2, 6, 4, 3)

    def outputs(x):
        return torch.vmap(lambda x: layer(x)[0])(x)

    def gradient(x):
        return torch.func.grad(lambda x: layer(x)[0].square().sum())(x)

    for function, x in ((outputs, mapped), (gradient, X)):
        assert_close(torch.compile(function, backend="eager")(x), function(x))


class TestExport:
    """torch.export: the graph names the recurrence, and holds neither its steps nor an engine."""

    T, B = torch.export.Dim("T", max=1000), torch.export.Dim("B", max=1000)

    def exported(self, layer, with_lengths: bool = False, strict: bool = False):
        model = Tagger(layer)
        tokens, lengths = torch.arange(24).reshape(6, 4) % 11, torch.tensor(LENGTHS)
        shapes: Any = {"tokens": {0: self.T, 1: self.B}, "lengths": None}
        if with_lengths:
            shapes["lengths"] = {0: self.B}
        given = (tokens, lengths) if with_lengths else (tokens,)
        program = torch.export.export(
            model,
            given,
            dynamic_shapes=shapes if with_lengths else {"tokens": shapes["tokens"]},
            strict=strict,
        )
        return model, program

    @pytest.mark.parametrize(
        ("with_lengths", "strict"), [(True, False), (False, True)], ids=["non-strict", "strict"]
    )
    def test_one_node_for_each_layer_and_direction(self, with_lengths, strict):
        model, program = self.exported(glasscell.GRU(3, 4, **DEEP), with_lengths, strict)
        targets = [str(node.target) for node in program.graph.nodes]
        assert targets.count("glasscell.recurrence.default") == 4
        assert len(targets) < 80
        tokens = torch.arange(26).reshape(13, 2) % 11
        given = (tokens, torch.tensor([4, 13])) if with_lengths else (tokens,)
        assert_close(program.module()(*given), model(*given))
        assert_close(program.run_decompositions().module()(*given), model(*given))

    def test_training_what_was_exported(self):
        model, program = self.exported(glasscell.LSTM(3, 4, **DEEP))
        tokens = torch.arange(26).reshape(13, 2) % 11
        module = program.module()
        module(tokens).square().mean().backward()
        found = {name: weight.grad for name, weight in module.named_parameters()}
        model(tokens).square().mean().backward()
        for name, weight in model.named_parameters():
            assert_close(found[name], weight.grad, name, kind="gradient")

    def test_another_process_runs_it(self, tmp_path):
        model, program = self.exported(glasscell.LSTM(3, 4, **DEEP), with_lengths=True)
        torch.export.save(program, tmp_path / "tagger.pt2")
        tokens, lengths = torch.arange(26).reshape(13, 2) % 11, torch.tensor([4, 13])
        torch.save((tokens, lengths), tmp_path / "given.pt")
        code = (
            "import glasscell.nn, torch\n"
            "module = torch.export.load('tagger.pt2').module()\n"
            "torch.save(module(*torch.load('given.pt')).detach(), 'found.pt')"
        )
        subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
        assert_close(torch.load(tmp_path / "found.pt"), model(tokens, lengths))


@pytest.mark.slow
@pytest.mark.parametrize("engine", AVAILABLE)
def test_train_steps_with_inductor(engine, monkeypatch):
    runs = count_forwards(monkeypatch, engine)
    assert_trains_alike(*twins(glasscell.LSTM, engine=engine), backend="inductor")
    assert len(runs) == 2 * 3 * 4  # eager and compiled, three steps, two layers in two directions
