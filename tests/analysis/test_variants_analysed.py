"""Every variant under every analysis of its state: against the recorded state and autograd."""

import pytest
import torch
from tests.cells.zoo_of_variants import NAMES, SQUARE
from tests.tolerances import assert_close
from torch import Tensor

import glasscell
from glasscell import analysis
from glasscell.analysis.state_space.driven_run import DrivenRun
from glasscell.cells import VARIANTS, Custom
from glasscell.errors import InputError

T, B, I, H = 6, 2, 3, 4
LENGTHS = [4, 6]
# Cells that carry nothing from step to step but what they write anew.
ANEW = ("rnn", "relu_rnn", "indrnn")
# Cells whose input reaches the gates in another way than through W x + b.
WITHOUT_DRIVE = ("layer_norm_lstm", "layer_norm_gru", "mut1", "mut2", "mut3")
# Cells whose gradient of U is no sum of products with h of the step before.
WITHOUT_ITEMS = (*WITHOUT_DRIVE, "fgr", "gru_reset_before", "indrnn")
DRIVEN = [name for name in NAMES if name not in WITHOUT_DRIVE]
CARRYING = [name for name in NAMES if name not in ANEW]


def layer_of(name: str, **options) -> glasscell.Recurrent:
    torch.manual_seed(len(name))
    inputs = H if name in SQUARE else I
    return glasscell.Recurrent(inputs, H, cell=name, dtype=torch.float64, **options)


def input_of(layer: glasscell.Recurrent) -> Tensor:
    return torch.randn(T, B, layer.input_size, dtype=torch.float64)


def zoneout_of(name: str) -> tuple[float, float]:
    return (0.3 if VARIANTS[name].has_cell_state else 0.0, 0.2)


def recorded(layer: glasscell.Recurrent, x: Tensor, **options):
    with glasscell.trace(layer, **options) as trace:
        layer(x, lengths=LENGTHS)
    return trace["l0"]


@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluating"])
@pytest.mark.parametrize("name", CARRYING)
def test_the_account_of_a_state_is_the_state(name, training):
    """With zoneout and an edit of the state in it."""
    layer = layer_of(name, zoneout=zoneout_of(name)).train(training)
    state = layer.cell.state
    with glasscell.edit(layer, "l0", state, units=[1], steps=[2], scale=0.5):
        shown = recorded(layer, input_of(layer))
    for b, length in enumerate(LENGTHS):
        for step in (0, 3, length - 1):
            total = analysis.ledger(shown, step, b).total
            assert_close(total, shown.sequence(state, b)[step], f"state after {step}")


@pytest.mark.parametrize("name", CARRYING)
def test_a_memory_span_is_of_what_multiplies_the_state(name):
    """d state_t / d state_{t-1} with everything else held, by autograd through the state's sum."""
    shown = recorded(layer_of(name), input_of(layer_of(name)))
    gates = shown.record.gates
    assert gates is not None
    carry = shown.definition.carry(gates.detach())
    assert carry is not None
    keep = carry[0]
    for mean, log_mean in (("arithmetic", keep.mean(0).log()), ("geometric", keep.log().mean(0))):
        span = analysis.memory_span(shown, mean)  # type: ignore[arg-type]
        forgets = log_mean < 0
        assert_close(span[forgets], -1 / log_mean[forgets], dtype=torch.float32)
        assert span[~forgets].isposinf().all()
    if name in ("no_forget_gate", "nfg"):
        assert span.isposinf().all()
    if name in ("coupled", "cifg"):
        assert_close(keep, 1 - shown.tokens("input_gate"))


@pytest.mark.parametrize("name", ANEW)
def test_what_keeps_nothing_has_no_account(name):
    shown = recorded(layer_of(name), input_of(layer_of(name)))
    for ask in (analysis.ledger, analysis.memory_span, analysis.gradient_ledger):
        with pytest.raises(InputError, match="writes its whole state anew"):
            ask(shown)


def test_of_a_step_of_ones_own_it_is_said_that_nobody_knows():
    cell = Custom(lambda now: now.carry(now.gate("candidate")), gates=("candidate",))  # type: ignore[arg-type]
    layer = glasscell.Recurrent(I, H, cell=cell, dtype=torch.float64)
    x = input_of(layer)
    shown = recorded(layer, x)
    for ask in (analysis.ledger, analysis.memory_span):
        with pytest.raises(InputError, match="its definition does not say"):
            ask(shown)
    with pytest.raises(InputError, match="reads its input in another way"):
        analysis.fixed_points(layer)
    assert analysis.gradient_flow(layer, x).carried is None


def state_of(layer: glasscell.Recurrent, states) -> Tensor:
    """(1, S) of one sequence."""
    return torch.cat(states if isinstance(states, tuple) else (states,), -1)[0]


def one_step(layer: glasscell.Recurrent, x: Tensor, s: Tensor) -> Tensor:
    """(S,) the state after one step of the layer itself, from (I,) and (S,)."""
    P, has_c = layer.output_size, layer.cell.has_cell_state
    hx = (s[None, :P], s[None, P:]) if has_c else s[None]
    return state_of(layer, layer(x[None], hx)[1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        (name, options)
        for name in DRIVEN
        for options in ({}, {"zoneout": True}, {"proj_size": 2, "zoneout": True})
        if VARIANTS[name].has_cell_state or "proj_size" not in options  # the others have none
    ],
)
def test_a_map_of_the_state_is_the_layers_step(name, options):
    """Its values and its derivatives, at states that the layer visits."""
    options = options | ({"zoneout": zoneout_of(name)} if "zoneout" in options else {})
    layer = layer_of(name, **options).eval()
    x = input_of(layer)
    shown = recorded(layer, x)
    run = DrivenRun.of(layer, shown)
    tokens = shown.layout.tokens(x)
    rows = [0, 3, len(tokens) - 1]
    found = run.map(run.drive[rows], run.before[rows])
    J = run.map.jacobians(run.drive[rows], run.before[rows])
    for k, row in enumerate(rows):
        step = lambda s, row=row: one_step(layer, tokens[row], s)  # noqa: E731
        assert_close(found[k], step(run.before[row]), "state")
        expected = torch.autograd.functional.jacobian(step, run.before[row])
        assert_close(J[k], expected, "Jacobian", kind="gradient")


@pytest.mark.parametrize("name", ["coupled", "slstm", "min_gru", "indrnn", "fgr"])
def test_fixed_points_are_those_of_the_layer(name):
    layer = layer_of(name, zoneout=zoneout_of(name)).eval()
    x = torch.randn(I, dtype=torch.float64)
    shown = recorded(layer, x.expand(T, B, I))
    found = analysis.fixed_points(layer, x, starts=shown, n=8)
    assert found.fixed.any()
    s = found.states[0]
    assert_close(one_step(layer, x, s), s, dtype=torch.float32)
    J = torch.autograd.functional.jacobian(lambda s: one_step(layer, x, s), s)
    expected = torch.linalg.eigvals(J).abs().sort(descending=True).values
    assert_close(found.eigenvalues[0].abs(), expected, dtype=torch.float32)
    if found.cell is not None:
        assert found.cell.shape[1] == H
    path = analysis.principal_components(shown, k=2)
    assert path.project(found).shape == (len(found), 2)


@pytest.mark.parametrize("name", DRIVEN)
def test_a_kick_is_followed_as_the_layer_goes_on(name):
    """Against an edit that adds the kick in the layer's own run."""
    layer = layer_of(name, zoneout=(0.0, 0.2)).eval()
    x = input_of(layer)
    shown = recorded(layer, x)
    size, unit = 1e-2, 2
    kicks = analysis.kick_survival(layer, shown, units=[unit], window=3, size=size, times=1)
    run = DrivenRun.of(layer, shown)
    t, b = shown.layout.packing.step_and_sequence()
    able = torch.nonzero(shown.layout.packing.lengths[b] - 1 - t >= 3)[:, 0]
    row = int(able[len(able) // 2])
    s, order = run.after[row].clone(), shown.layout.order
    sequence = int(b[row]) if order is None else int(order[b[row]])
    other = s.clone()
    other[run.map.memory.start + unit] += size
    for n in range(1, 4):
        token = x[int(t[row]) + n, sequence]
        s, other = one_step(layer, token, s), one_step(layer, token, other)
        change = ((other - s) / size).detach()
        assert_close(kicks.own[n], change[run.map.memory.start + unit].abs()[None], "own")
        assert_close(kicks.whole[n], change.norm()[None], "whole")


@pytest.mark.parametrize("name", WITHOUT_DRIVE)
def test_a_cell_that_is_no_such_map_is_refused(name):
    layer = layer_of(name)
    for ask in (analysis.kick_survival, analysis.lyapunov_exponents):
        with pytest.raises(InputError, match="reads its input in another way than through W x"):
            ask(layer, recorded(layer, input_of(layer)))


def test_weights_of_another_variant_are_refused():
    shown = recorded(layer_of("peephole"), input_of(layer_of("lstm")))
    with pytest.raises(InputError, match=r"expected what was recorded, .*c_prev.*, got lstm"):
        analysis.kick_survival(layer_of("lstm"), shown)


@pytest.mark.parametrize("zoneout", [False, True], ids=["", "zoneout"])
@pytest.mark.parametrize("name", NAMES)
def test_a_gradients_flow_is_autograds(name, zoneout):
    """Norms of dL/d(each quantity) at every distance, against the trace's own gradients."""
    layer = layer_of(name, zoneout=zoneout_of(name) if zoneout else 0.0).eval()
    x = input_of(layer)
    d = torch.randn(H, dtype=torch.float64)
    flow = analysis.gradient_flow(layer, x, lengths=LENGTHS, loss=d)
    with glasscell.trace(layer, gradients=True) as trace:
        _, states = layer(x, lengths=LENGTHS)
    h_n = states[0] if isinstance(states, tuple) else states
    (h_n * d).sum().backward()
    grad, cell = trace["l0"].grad, layer.cell
    found = {"hidden": flow.hidden, **flow.gates}
    if cell.has_cell_state:
        assert flow.cell is not None
        found["cell"] = flow.cell
    if name not in ANEW:
        assert flow.carried is not None
        found |= {"carried": flow.carried, "through_gates": flow.through_gates}
    for quantity, norms in found.items():
        for b, length in enumerate(LENGTHS):
            expected = grad[quantity][:length, b].norm(dim=-1).flip(0)
            assert_close(norms[:length, b], expected, quantity, kind="gradient")


@pytest.mark.parametrize("edited", [False, True], ids=["", "edited"])
@pytest.mark.parametrize("name", [n for n in NAMES if n not in WITHOUT_ITEMS])
def test_the_items_of_a_gradient_sum_to_it(name, edited):
    zoneout = zoneout_of(name) if edited else 0.0
    if name == "slstm" and edited:  # where its cell is held, it is refused
        with pytest.raises(InputError, match="its stabilizer has two parts in each step"):
            analysis.rnnbow(layer_of(name, zoneout=zoneout).eval(), input_of(layer_of(name)))
        zoneout = (0.0, 0.3)
    layer = layer_of(name, zoneout=zoneout).eval()
    x = input_of(layer)[:, :1]
    d = torch.randn(T, H, dtype=torch.float64)
    changed = layer.cell.gates[-1].name
    where = {"units": [1, 2], "steps": [1, 3]}
    edits = [glasscell.Edit("l0", changed, **where, scale=0.5)] if edited else []  # type: ignore[arg-type]
    with glasscell.edit(layer, edits):
        found = analysis.rnnbow(layer, x, loss=d)
        (layer(x)[0][:, 0] * d).sum().backward()
    w = layer.weights()
    assert_close(found.total_recurrent, w.U.grad, "dL/dU", kind="gradient")
    assert_close(found.total_input, w.W.grad, "dL/dW", kind="gradient")
    nothing = not w.U.numel()
    shares = found.recurrent_share.sum(), found.input_share.sum()
    assert [round(float(share.detach()), 9) for share in shares] == [0.0 if nothing else 1.0, 1.0]


@pytest.mark.parametrize("name", WITHOUT_ITEMS)
def test_gradients_that_are_no_sum_of_items_are_refused(name):
    layer = layer_of(name)
    with pytest.raises(InputError, match="gradient_flow is for every cell"):
        analysis.rnnbow(layer, input_of(layer))


@pytest.mark.parametrize(
    "options",
    [{"zoneout": 0.2}, {"recurrent_dropout": 0.2}, {"stochastic": ("forget",)}],
    ids=["zoneout", "dropout", "stochastic"],
)
def test_runs_that_chance_had_a_part_in_are_refused(options):
    layer = layer_of("lstm", **options)
    x = input_of(layer)
    shown = recorded(layer, x)
    for ask in (
        lambda: analysis.gradient_flow(layer, x),
        lambda: analysis.rnnbow(layer, x),
        lambda: analysis.kick_survival(layer, shown),
        lambda: analysis.lyapunov_exponents(layer, shown),
        lambda: analysis.fixed_points(layer, starts=shown),
    ):
        with pytest.raises(InputError, match=r"leaves nothing to chance.*eval\(\)"):
            ask()
    layer.eval()
    assert analysis.gradient_flow(layer, x).verdict
    assert analysis.kick_survival(layer, recorded(layer, x), window=2).own.shape == (3, H)


@pytest.mark.parametrize("name", ["coupled", "no_forget_gate", "mut1", "slstm", "fgr"])
def test_surprise_flows_along_whatever_state_there_is(name):
    inputs = H if name in SQUARE else I
    letters = torch.nn.Embedding(5, inputs).double()
    layer = layer_of(name)
    model = torch.nn.ModuleList([letters, layer, torch.nn.Linear(H, 5).double()])
    flow = analysis.surprise_flow(
        model, torch.tensor([0, 1, 2, 3, 4]), lambda ids: model[2](layer(letters(ids))[0])
    )
    found = flow.layers["1.l0"]
    assert found.carried is not None
    assert found.through_gates is not None
    assert (found.cell is not None) == layer.cell.has_cell_state
    assert (found.carried[4, :3] > 0).all()
