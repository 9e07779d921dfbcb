import pytest
import torch
from tests.analysis.state_space.driven import recorded
from tests.cells.zoo import SUBJECTS, independent
from tests.tolerances import assert_close

import glasscell
from glasscell.analysis.state_space.driven_run import DrivenRun
from glasscell.analysis.state_space.layer_weights import equations_of
from glasscell.analysis.state_space.step_map import StepMap
from glasscell.errors import InputError

T, B, I, H = 6, 3, 4, 5
LENGTHS = [6, 4, 3]


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_a_traced_run_is_what_its_map_does(name, reverse):
    """The drive is W x + b_x, though the map has not seen x; and it leads from state to state."""
    subject = SUBJECTS[name]
    w = subject.weights(I, H)
    x = torch.randn(T, B, I, dtype=torch.float64)
    layer = recorded(subject, w, x, LENGTHS, reverse)
    run = DrivenRun.of(w, layer)
    expected = layer.layout.tokens(x) @ w.W.T + (0 if w.b_x is None else w.b_x)
    assert_close(run.drive, expected.detach())
    assert_close(run.map.drive(layer.layout.tokens(x)), expected.detach())
    assert_close(run.map(run.drive, run.before), run.after)
    assert run.after.shape == (sum(LENGTHS), run.map.size)


@pytest.mark.parametrize("name", SUBJECTS)
def test_jacobians_are_those_of_the_independent_equations(name):
    subject = SUBJECTS[name]
    w = subject.weights(I, H)
    model, layer = independent(subject.cell, w), StepMap(name, subject.cell, w)
    layer = StepMap.of(w, recorded(subject, w, torch.randn(T, B, I).double(), LENGTHS))
    x, s = torch.randn(7, I).double(), torch.randn(7, layer.size).double()

    def step(x, s):
        h, c = s[: layer.P], s[layer.P :]
        after = model.step(x[None], h[None], c[None] if len(c) else None)
        return torch.cat([v[0] for v in (after.h, after.c) if v is not None])

    found = layer.jacobians(layer.drive(x), s)
    for k in range(7):
        expected = torch.autograd.functional.jacobian(lambda s, k=k: step(x[k], s), s[k])
        assert_close(found[k], expected, kind="gradient")
        assert_close(layer(layer.drive(x[k : k + 1]), s[k : k + 1])[0], step(x[k], s[k]).detach())


def test_a_step_of_torch_differs_by_the_jacobian_times_a_small_move():
    cell = torch.nn.LSTMCell(I, H, dtype=torch.float64)
    step = StepMap.of(cell)
    x, s = torch.randn(1, I).double(), torch.randn(1, 2 * H).double()
    move = 1e-6 * torch.randn(1, 2 * H).double()

    def after(s):
        return torch.cat(cell(x, (s[:, :H], s[:, H:])), -1).detach()

    expected = (after(s + move) - after(s - move)) / 2e-6
    assert_close(
        (step.jacobians(step.drive(x), s) @ move[..., None])[..., 0] / 1e-6,
        expected,
        dtype=torch.float32,
    )


@pytest.mark.parametrize("mode", [torch.no_grad, torch.enable_grad])
def test_jacobians_do_not_depend_on_whether_gradients_are_on(mode):
    """Of a trace recorded in inference mode, too."""
    lstm = glasscell.LSTM(I, H, dtype=torch.float64)
    with torch.inference_mode(), glasscell.trace(lstm) as trace:
        lstm(torch.randn(T, B, I).double())
    run = DrivenRun.of(lstm, trace["l0"])
    with mode():
        found = run.map.jacobians(run.drive, run.before)
    assert not found.requires_grad
    expected = torch.autograd.functional.jacobian(
        lambda s: run.map(run.drive[4:5], s[None])[0], run.before[4]
    )
    assert_close(found[4], expected, kind="gradient")


def test_groups_of_states_share_a_drive():
    step = StepMap.of(glasscell.GRU(I, H))
    drive, s = torch.randn(2, 3 * H).double(), torch.randn(2, 4, H).double()
    together = step(drive, s)
    assert together.shape == (2, 4, H)
    for k in range(4):
        assert_close(together[:, k], step(drive, s[:, k]))


@pytest.mark.parametrize(
    "make",
    [
        glasscell.LSTM, glasscell.GRU, glasscell.RNN, torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN,
    ],
)  # fmt: skip
def test_layers_are_found_by_the_names_of_their_traces(make):
    model = torch.nn.Sequential(torch.nn.Linear(2, I), make(I, H, 2, bidirectional=True))
    for k in range(2):
        for suffix in ("", "_reverse"):
            name, _, w, _ = equations_of(model, f"1.l{k}{suffix}")
            assert name == f"1.l{k}{suffix}"
            assert w.U is getattr(model[1], f"weight_hh_l{k}{suffix}")
            assert w.b_h is getattr(model[1], f"bias_hh_l{k}{suffix}")
            # the layer by itself is found by a name from the larger model
            assert equations_of(model[1], f"1.l{k}{suffix}")[2].W is w.W


def test_projections_and_relu_and_one_step_cells_are_found():
    assert equations_of(torch.nn.LSTM(I, H, proj_size=2), None)[2].V is not None
    assert equations_of(torch.nn.RNN(I, H, nonlinearity="relu"), "l0")[1].gates[0].squash.name == (
        "relu"
    )
    for cell in (torch.nn.GRUCell(I, H), glasscell.GRUCell(I, H)):
        name, cell_, w, _ = equations_of(cell, None)
        assert (name, cell_.kind) == ("cell", "gru")
        assert w.W is cell.weight_ih
    assert equations_of(torch.nn.RNNCell(I, H, nonlinearity="relu"), None)[1].kind == "rnn"


def test_an_input_is_read_by_any_model_and_a_trace_is_taken_as_it_is():
    model = torch.nn.Sequential(torch.nn.Embedding(9, I), glasscell.LSTM(I, H)).double()
    ids = torch.randint(9, (T, B))
    with torch.no_grad(), glasscell.trace(model) as trace:
        model(ids)
    read, taken = DrivenRun.of(model, ids), DrivenRun.of(model, trace["1.l0"])
    assert torch.equal(read.after, taken.after)
    assert torch.equal(read.drive, taken.drive)


def test_what_does_not_fit_is_refused():
    lstm = glasscell.LSTM(I, H, num_layers=2)
    x = torch.randn(T, B, I)
    with torch.no_grad(), glasscell.trace(lstm) as trace:
        lstm(x)
    with pytest.raises(InputError, match="layer: expected one of l0, l1, got none"):
        DrivenRun.of(lstm, x)
    with pytest.raises(InputError, match="layer: expected one of l0, l1, got 'l2'"):
        DrivenRun.of(lstm, x, "l2")
    with pytest.raises(InputError, match="layer: expected 'l0', which was recorded, got 'l1'"):
        DrivenRun.of(lstm, trace["l0"], "l1")
    with pytest.raises(
        InputError, match=r"expected what was recorded, an LSTM.*\(20, 5\).*\(24, 6\)"
    ):
        DrivenRun.of(glasscell.LSTM(I, 6), trace["l0"])
    with pytest.raises(InputError, match="has no LSTM, GRU or RNN layer"):
        DrivenRun.of(torch.nn.Linear(2, 2), trace["l0"])
    with pytest.raises(TypeError, match=r"model: expected a torch.nn.Module, got int"):
        DrivenRun.of(3, trace["l0"])  # type: ignore[arg-type]
    with pytest.raises(InputError, match="expected a module that reads an input, got weights"):
        DrivenRun.of(lstm.weights(), x)
    with pytest.raises(InputError, match="expected a module, got weights without a trace"):
        StepMap.of(lstm.weights(), "l0")
    trace["l0"].tokens("cell").add_(1.0)
    with pytest.raises(InputError, match="gates or states were edited"):
        _ = DrivenRun.of(lstm, trace["l0"]).drive
