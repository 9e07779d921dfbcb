import math
from typing import Any

import pytest
import torch
from tests.analysis.gradients.unrolled import Unrolled, unroll
from tests.tolerances import assert_close
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import glasscell
from glasscell import analysis
from glasscell.analysis.gradients import batched_backward
from glasscell.cells import Squash
from glasscell.errors import InputError

T, B, I, H = 9, 3, 4, 5
LENGTHS = [5, 9, 7]
MAKERS = [glasscell.LSTM, glasscell.GRU, glasscell.RNN]
IDENTITY = Squash("identity", lambda v: v, torch.ones_like, (-math.inf, math.inf))


def built(make, **options) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    return make(I, H, dtype=torch.float64, **options), torch.randn(T, B, I, dtype=torch.float64)


def norms_by_distance(gradients: Tensor) -> Tensor:
    """(T,) from (T, H) in visited order."""
    return gradients.norm(dim=-1).flip(0)


def expected_state(run: Unrolled, loss: Tensor, is_lstm: bool) -> Tensor:
    return run.gradients(loss, run.c if is_lstm else run.h)


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", ["l0", "l0_reverse"])
@pytest.mark.parametrize("make", MAKERS)
def test_every_norm_against_autograd(make, name, lengths):
    module, x = built(make, bidirectional=True)
    v = torch.randn(H, dtype=torch.float64)
    flow = analysis.gradient_flow(module, x, lengths=lengths, layer=name, loss=v)
    assert (flow.layer, flow.kind, flow.directions) == (name, make.__name__.lower(), 0)
    is_lstm, reverse = make is glasscell.LSTM, name == "l0_reverse"
    for b, length in enumerate(lengths or [T] * B):
        run = unroll(module, x[:length, b], name, reverse)
        loss = run.h[-1] @ v
        found = {name: values[:length, b] for name, values in flow.gates.items()}
        for gate, values in found.items():
            assert_close(values, norms_by_distance(run.of_gate(loss, gate)), gate)
        assert_close(flow.hidden[:length, b], norms_by_distance(run.gradients(loss, run.h)))
        d = expected_state(run, loss, is_lstm)
        assert_close(flow.state[:length, b], norms_by_distance(d))
        assert flow.state[length:, b].isnan().all()
        if make is glasscell.RNN:
            assert flow.carried is None
            assert flow.carousel is None
            assert torch.equal(flow.through_gates[:length, b], flow.hidden[:length, b])
            continue
        keep = torch.stack([g["forget_gate" if is_lstm else "update_gate"] for g in run.gates])
        keep_next = torch.cat((keep[1:], torch.zeros_like(keep[:1]))).detach()
        carried = keep_next * torch.cat((d[1:], torch.zeros_like(d[:1])))
        products = torch.stack([keep[t + 1 :].prod(0) for t in range(length)]).detach()
        assert flow.carried is not None
        assert flow.carousel is not None
        assert_close(flow.carried[:length, b], norms_by_distance(carried))
        assert_close(flow.through_gates[:length, b], norms_by_distance(d - carried))
        assert_close(flow.carousel[:length, b], norms_by_distance(products * d[-1]))


@pytest.mark.parametrize("make", MAKERS)
def test_all_directions_give_the_jacobians(make):
    """The mean of the squares over all of an orthonormal basis is ||dh_T/dh_t||^2 / P."""
    module, x = built(make)
    flow = analysis.gradient_flow(module, x, directions=99)
    assert flow.directions == H
    for b in range(B):
        run = unroll(module, x[:, b])
        squares = [run.gradients(h_j, run.h).square().sum(-1) for h_j in run.h[-1]]
        assert_close(flow.hidden[:, b], (torch.stack(squares).mean(0)).sqrt().flip(0))


def test_fewer_directions_estimate_them_and_are_always_the_same():
    module, x = glasscell.LSTM(I, 64), torch.randn(T, B, I)
    some = analysis.gradient_flow(module, x, directions=16)
    again = analysis.gradient_flow(module, x, directions=16)
    exact = analysis.gradient_flow(module, x, directions=64)
    assert torch.equal(some.state, again.state)
    assert ((some.relative / exact.relative) - 1).abs().max() < 0.3


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_in_small_portions_and_on_either_engine(engine, monkeypatch):
    module, x = built(glasscell.LSTM)
    whole = analysis.gradient_flow(module, x, lengths=LENGTHS)
    monkeypatch.setattr(batched_backward, "AT_ONCE", 4 * H * 20)
    if engine == "reference":
        monkeypatch.setattr(
            type(batched_backward.ENGINES["native"]), "refuses", lambda self, call: "not today"
        )
    portions = analysis.gradient_flow(module, x, lengths=LENGTHS)
    for a, b in zip(portions.gates.values(), whole.gates.values(), strict=True):
        assert_close(a.nan_to_num(), b.nan_to_num())
    assert_close(portions.relative, whole.relative)


def test_a_loss_as_a_function_and_states_that_it_starts_from():
    module, x = built(glasscell.LSTM, proj_size=2)
    hx = (torch.randn(1, B, 2).double(), torch.randn(1, B, H).double())
    weight = torch.randn(B, 2, dtype=torch.float64)

    def loss(h_T: Tensor) -> Tensor:
        return (weight * h_T.square()).sum()

    flow = analysis.gradient_flow(module, x, hx, lengths=LENGTHS, loss=loss)
    outputs = []
    for b, length in enumerate(LENGTHS):
        run = unroll(module, x[:length, b], hx=(hx[0][0, b], hx[1][0, b]))
        own = (weight[b] * run.h[-1].square()).sum()
        assert_close(flow.hidden[:length, b], norms_by_distance(run.gradients(own, run.h)))
        assert_close(flow.state[:length, b], norms_by_distance(run.gradients(own, run.c)))
        outputs.append(2 * weight[b] * run.h[-1].detach())
    given = analysis.gradient_flow(module, x, hx, lengths=LENGTHS, loss=torch.stack(outputs))
    assert_close(given.state.nan_to_num(), flow.state.nan_to_num())


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("layer", [None, "l0"])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_layers_of_torch_nn_give_the_same(name, layer, lengths):
    theirs = getattr(nn, name)(I, H, num_layers=2, batch_first=True, dtype=torch.float64)
    ours = getattr(glasscell, name)(I, H, num_layers=2, batch_first=True, dtype=torch.float64)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(B, T, I, dtype=torch.float64)
    a = analysis.gradient_flow(theirs, x, lengths=lengths, layer=layer)
    b = analysis.gradient_flow(ours, x, lengths=lengths, layer=layer)
    assert a.layer == (layer or "l1")
    assert_close(a.state.nan_to_num(), b.state.nan_to_num())
    assert a.verdict == b.verdict


# Closed forms


def linear_rnn(U: Tensor, steps: int) -> tuple[Any, Tensor]:
    """h_t = U h_{t-1}: a recurrence whose gradient is a power of U."""
    rnn: Any = glasscell.RNN(1, len(U), dtype=torch.float64)
    rnn.cell = glasscell.cells.RNN(glasscell.cells.GateMap("hidden", "h", IDENTITY))
    with torch.no_grad():
        for weight in rnn.parameters():
            weight.zero_()
        rnn.weight_hh_l0.copy_(U)
    return rnn, torch.zeros(steps, 1, 1, dtype=torch.float64)


def test_an_orthogonal_recurrence_keeps_the_norm():
    torch.manual_seed(0)
    Q = torch.linalg.qr(torch.randn(6, 6, dtype=torch.float64)).Q
    flow = analysis.gradient_flow(*linear_rnn(Q, 200))
    assert_close(flow.relative, torch.ones(200, dtype=torch.float64))
    assert flow.rate == pytest.approx(1)
    assert (flow.verdict, flow.reach) == ("carried", 199)


@pytest.mark.parametrize(
    ("w", "steps", "verdict", "reach"),
    [
        (0.5, 40, "vanishing", 6),  # 0.5^7 < 0.01 <= 0.5^6
        (0.95, 35, "carried", 34),
        (0.95, 350, "vanishing", 89),
        (1.5, 5, "carried", 4),
        (1.5, 40, "exploding", 39),
        (0.5, 2000, "vanishing", 6),  # leaves float64's range
        (1.5, 2000, "exploding", 1999),
    ],
)
def test_a_multiple_of_the_identity_gives_its_powers(w, steps, verdict, reach):
    flow = analysis.gradient_flow(*linear_rnn(w * torch.eye(4).double(), steps))
    powers = w ** torch.arange(steps, dtype=torch.float64)
    fits = (powers > 1e-290) & (powers < 1e290)
    torch.testing.assert_close(flow.relative[fits], powers[fits], rtol=1e-9, atol=0)
    assert (flow.verdict, flow.reach) == (verdict, reach)
    assert flow.rate == pytest.approx(w)


def saturated(bias: float) -> tuple[Any, Tensor]:
    module, x = built(glasscell.LSTM)
    with torch.no_grad():
        module.weight_ih_l0[H : 2 * H] = 0
        module.weight_hh_l0.zero_()
        module.bias_ih_l0[H : 2 * H] = bias
        module.bias_hh_l0[H : 2 * H] = 0
    return module, x


def test_an_open_forget_gate_carries_and_a_shut_one_cuts():
    open_ = analysis.gradient_flow(*saturated(20.0))
    assert_close(open_.relative, torch.ones(T).double(), dtype=torch.float32)
    assert open_.verdict == "carried"
    assert open_.carousel is not None
    assert_close(open_.carousel, open_.state)
    shut = analysis.gradient_flow(*saturated(-20.0))
    f = 1 / (1 + math.exp(20))
    assert shut.rate == pytest.approx(f)
    assert (shut.verdict, shut.reach) == ("vanishing", 0)
    cut = analysis.gradient_flow(*saturated(-1000.0))
    assert (cut.rate, cut.verdict) == (0, "vanishing")


@pytest.mark.parametrize("make", [glasscell.LSTM, nn.LSTM])
def test_the_lstm_of_1997_has_no_forget_gate(make):
    module, x = built(make)
    v = torch.randn(H, dtype=torch.float64)
    plain = analysis.gradient_flow(module, x, loss=v)
    with glasscell.edit(module, "l0", "forget_gate", set=1.0):
        flow = analysis.gradient_flow(module, x, loss=v)
    for b in range(B):
        run = unroll(module, x[:, b], forget=1.0)
        loss = run.h[-1] @ v
        assert_close(flow.state[:, b], norms_by_distance(run.gradients(loss, run.c)))
        assert_close(flow.hidden[:, b], norms_by_distance(run.gradients(loss, run.h)))
    assert flow.carousel is not None
    assert_close(flow.carousel, flow.state[0].expand(T, B))
    assert (plain.state - flow.state).abs().max() > 0.01


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", ["l0", "l0_reverse"])
@pytest.mark.parametrize(
    ("make", "state"), [(glasscell.LSTM, "cell"), (glasscell.GRU, "hidden"), (nn.GRU, "hidden")]
)
def test_edits_are_part_of_it(make, state, name, lengths):
    """Against what a backward leaves in a trace of the edited layer."""
    module, x = built(make, bidirectional=True)
    v = torch.randn(H, dtype=torch.float64)
    edits = [
        glasscell.Edit(name, "candidate", units=[1], set=0.4),
        glasscell.Edit(name, state, steps=slice(2, 4), scale=torch.rand(H, dtype=torch.float64)),
        glasscell.Edit(name, state, units=[0], steps=1, batch=[1], set=0.3),
        glasscell.Edit(name, "hidden", units=[2], add=0.2),
    ]
    with glasscell.edit(module, edits):
        flow = analysis.gradient_flow(module, x, layer=name, lengths=lengths, loss=v)
        packed = pack_padded_sequence(x, torch.tensor(lengths or [T] * B), enforce_sorted=False)
        with glasscell.trace(module, gradients=True) as trace:
            _, last = module(packed)
            h_n = last[0] if isinstance(last, tuple) else last
            (h_n[1 if name == "l0_reverse" else 0] @ v).sum().backward()
    grad = trace[name].grad
    parts = {"state": grad[state], "carried": grad.carried, "through_gates": grad.through_gates}
    for b, length in enumerate(lengths or [T] * B):
        for part, values in parts.items():
            norms = values[:length, b].norm(dim=-1)
            norms = norms if name == "l0_reverse" else norms.flip(0)
            assert_close(getattr(flow, part)[:length, b], norms, part)


def test_comparing():
    lstm, x = built(glasscell.LSTM)
    modules = {"LSTM": lstm, "GRU": nn.GRU(I, H, dtype=torch.float64)}
    flows = analysis.compare_gradient_flow(modules, x, lengths=LENGTHS)
    assert list(flows) == list(modules)
    for name, flow in flows.items():
        alone = analysis.gradient_flow(modules[name], x, lengths=LENGTHS)
        assert torch.equal(flow.relative, alone.relative)
    flow = flows["LSTM"]
    assert str(flow) == (
        f"l0 (lstm): {flow.verdict}; times {flow.rate:.3g} at each step back, "
        f"{flow.relative[8]:.3g} of it arrives 8 steps back"
    )


def test_relative_is_over_the_sequences_that_reach_so_far():
    module, x = built(glasscell.GRU)
    flow = analysis.gradient_flow(module, x, lengths=LENGTHS)
    longest = analysis.gradient_flow(module, x[:, 1:2])
    assert_close(flow.relative[7:], longest.relative[7:])  # only one has more than 7 steps
    assert flow.relative[0] == 1


def test_a_loss_that_reaches_nothing():
    module, x = built(glasscell.LSTM)
    flow = analysis.gradient_flow(module, x, loss=torch.zeros(H))
    assert (flow.rate, flow.verdict, flow.reach) == (0, "vanishing", -1)


@pytest.mark.parametrize("make", [glasscell.LSTM, nn.LSTM])
def test_a_single_sequence_and_a_packed_one(make):
    module, x = built(make)
    torch.manual_seed(0)
    v = torch.randn(H)
    whole = analysis.gradient_flow(module, x, lengths=LENGTHS, loss=v)
    packed = pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False)
    from_packed = analysis.gradient_flow(module, packed, loss=v)
    assert_close(from_packed.state.nan_to_num(), whole.state.nan_to_num())
    for b, length in enumerate(LENGTHS):
        single = analysis.gradient_flow(module, x[:length, b], loss=v)
        assert_close(single.state[:, 0], whole.state[:length, b])


def test_observing_changes_nothing():
    module, x = built(glasscell.LSTM)
    before = {name: p.clone() for name, p in module.named_parameters()}
    x.requires_grad_()
    analysis.gradient_flow(module, x)
    assert x.grad is None
    assert all(torch.equal(p, before[name]) for name, p in module.named_parameters())
    assert all(p.grad is None for p in module.parameters())
    assert not module._record_hooks


def test_bad_input():
    module, x = built(glasscell.LSTM)
    with pytest.raises(TypeError, match=r"module: expected an LSTM, GRU or RNN .* got Sequential"):
        analysis.gradient_flow(nn.Sequential(module), x)
    with pytest.raises(InputError, match="layer: expected one of l0; got 'l1'"):
        analysis.gradient_flow(module, x, layer="l1")
    with pytest.raises(InputError, match="x: expected sequences of at least 2 steps, got 3 of 1"):
        analysis.gradient_flow(module, x[:1])
    with pytest.raises(InputError, match=r"loss: expected \(5,\) or \(3, 5\), got \(4,\)"):
        analysis.gradient_flow(module, x, loss=torch.ones(4))
    with pytest.raises(InputError, match=r"loss: expected a function .* got \(3, 5\)"):
        analysis.gradient_flow(module, x, loss=lambda h: h)
    with pytest.raises(InputError, match=r"loss: expected a function .* got float"):
        analysis.gradient_flow(module, x, loss=lambda h: 0.0)  # type: ignore[arg-type]
    leaf = torch.ones((), requires_grad=True)
    with pytest.raises(InputError, match="loss: expected a function of the last hidden state"):
        analysis.gradient_flow(module, x, loss=lambda h: leaf * 2)
    with pytest.raises(InputError, match="directions: expected at least 1, got 0"):
        analysis.gradient_flow(module, x, directions=0)
    with pytest.raises(InputError, match=r"l0: expected finite states, .* NaN from step 0"):
        analysis.gradient_flow(module, x.log())
    with pytest.raises(InputError, match=r"input: expected \(T, B, 4\)"):
        analysis.gradient_flow(module, x[..., :3])
