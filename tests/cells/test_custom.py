"""Steps of one's own: the numbers of the cells they spell out, and what is told of mistakes."""

from typing import Any

import pytest
import torch
from tests.tolerances import assert_close

import glasscell
from glasscell.cells import GRU, LSTM, RELU, SIGMOID, TANH, Custom, GateMap
from glasscell.errors import InputError

T, B, I, H = 6, 3, 4, 5
LENGTHS = [6, 2, 4]


def lstm(now):
    i, f = now.gate("input_gate"), now.gate("forget_gate")
    g, o = now.gate("candidate"), now.gate("output_gate")
    c = now.carry(f * now.before() + i * g)
    return o * torch.tanh(c)


def elman(now):
    return now.gate("hidden_gate")


LSTM_GATES: Any = ("input_gate", "forget_gate", "candidate", "output_gate")
make_custom: Any = Custom
WRITTEN = Custom(lstm, gates=LSTM_GATES)


def pair(**options):
    """An LSTM, and the same spelt out, on the same weights."""
    torch.manual_seed(0)
    own = glasscell.LSTM(I, H, dtype=torch.float64, **options)
    spelt = glasscell.LSTM(I, H, dtype=torch.float64, cell=WRITTEN, **options)
    spelt.load_state_dict(own.state_dict())
    return own, spelt


def run(layer, x):
    """Outputs, last states and every gradient."""
    layer.zero_grad()
    x = x.clone().requires_grad_()
    output, (h_n, c_n) = layer(x, lengths=LENGTHS)
    (output.square().sum() + h_n.sum() + c_n.square().sum()).backward()
    return [output, h_n, c_n, x.grad, *(p.grad for p in layer.parameters())]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_an_lstm_spelt_out_is_an_lstm(options):
    own, spelt = pair(**options)
    x = torch.randn(T, B, I, dtype=torch.float64)
    for a, b in zip(run(own, x), run(spelt, x), strict=True):
        assert_close(a, b, kind="gradient")


def test_its_gates_are_recorded_edited_and_followed():
    x = torch.randn(T, B, I, dtype=torch.float64)
    shown = []
    for layer in pair():
        change = glasscell.edit(layer, "l0", "forget_gate", units=[1], steps=[2], set=1.0)
        with change, glasscell.trace(layer, gradients=True) as trace:
            layer(x)[0].square().sum().backward()
        shown.append(trace["l0"])
    own, spelt = shown
    assert spelt.quantities == own.quantities
    for quantity in own.quantities:
        assert_close(spelt[quantity], own[quantity], quantity)
        assert_close(spelt.grad[quantity], own.grad[quantity], f"dL/d{quantity}", kind="gradient")
    for gate in LSTM_GATES:
        assert_close(spelt.pre[gate], own.pre[gate], gate)


def test_noise_does_to_it_what_it_does_to_others():
    own, spelt = pair(zoneout=(0.3, 0.2), recurrent_dropout=0.3)
    x = torch.randn(T, B, I, dtype=torch.float64)
    for training in (True, False):
        results = []
        for layer in (own, spelt):
            torch.manual_seed(5)
            results.append(run(layer.train(training), x))
        for a, b in zip(*results, strict=True):
            assert_close(a, b, kind="gradient")
    assert not torch.equal(results[0][0], pair()[0](x, lengths=LENGTHS)[0])


def test_it_may_carry_several_states_and_read_what_it_likes():
    def counting(now):
        i = now.gate("input_gate", now.sums["input_gate"] + 0.1 * now.before("count"))
        count = now.carry(now.before("count") + 1, "count")
        c = now.carry(now.before() + i * now.x.sum(-1, keepdim=True))
        return torch.tanh(c) + 0 * count

    cell = Custom(counting, gates=("input_gate",), carried=("cell", "count"))  # type: ignore[arg-type]
    layer = glasscell.LSTM(I, H, cell=cell, dtype=torch.float64)
    x = torch.randn(T, B, I, dtype=torch.float64)
    with glasscell.trace(layer) as trace:
        _, (h_n, c_n) = layer(x, lengths=LENGTHS)
    assert c_n.shape == (1, B, 2 * H)
    assert_close(c_n[0, :, H:], torch.tensor(LENGTHS).double()[:, None].expand(B, H))
    assert_close(
        trace["l0"].count[:2], torch.tensor([1.0, 2.0]).double()[:, None, None].expand(2, B, H)
    )
    _, (h, c) = layer(x[:2])
    _, (h_whole, c_whole) = layer(x[2:, :1], (h[:, :1], c[:, :1]))
    assert_close(h_whole, h_n[:, :1])
    assert_close(c_whole, c_n[:, :1])


def test_without_a_carried_state_it_is_a_recurrence_of_h():
    cell = Custom(elman, gates=("hidden_gate",), carried=())  # type: ignore[arg-type]
    layer = glasscell.GRU(I, H, cell=cell, dtype=torch.float64)
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, h_n = layer(x)
    h = torch.zeros(B, H).double()
    for t in range(T):
        w = layer.weights()
        assert w.b_x is not None
        assert w.b_h is not None
        h = (x[t] @ w.W.T + w.b_x + h @ w.U.T + w.b_h).sigmoid()
        assert_close(output[t], h)
    assert_close(h_n[0], h)


def test_a_gates_squash_follows_its_name_or_is_given():
    relu = GateMap("candidate", "g", RELU)
    cell = Custom(lstm, gates=("input_gate", "memory", relu))  # type: ignore[arg-type]
    assert [gate.squash for gate in cell.gates] == [SIGMOID, TANH, RELU]
    assert [gate.letter for gate in cell.gates] == ["i", "m", "g"]


def test_it_is_a_definition_like_others():
    assert Custom(lstm, gates=LSTM_GATES) == WRITTEN
    assert LSTM() != WRITTEN
    assert glasscell.cells.spec.line_of(WRITTEN) is None
    assert glasscell.cells.name_of(WRITTEN) is None
    shapes = WRITTEN.shapes(I, H, H)
    assert shapes == LSTM().shapes(I, H, H)


def test_a_stream_takes_its_steps():
    _, spelt = pair()
    x = torch.randn(T, B, I, dtype=torch.float64)
    output, _ = spelt(x)
    stream = glasscell.stream(spelt)
    for t in range(T):
        assert_close(stream.step(x[t]), output[t])


def test_what_it_learns_beside_the_weights_and_draws_by_itself():
    decay = torch.nn.Parameter(torch.tensor(0.9, dtype=torch.float64))

    def leaking(now):
        dropped = torch.nn.functional.dropout(now.gate("candidate"), 0.5)
        return now.carry(decay * now.before() + dropped)

    layer = glasscell.LSTM(I, H, cell=make_custom(leaking, gates=("candidate",))).double()
    x = torch.randn(T, B, I, dtype=torch.float64)

    def loss(shift: float) -> torch.Tensor:
        torch.manual_seed(3)
        with torch.no_grad():
            decay.add_(shift)
        return layer(x)[0].sum()

    found = [torch.autograd.grad(loss(0.0), [decay, layer.weight_ih_l0])]
    step = 1e-6
    numeric = (loss(step) - loss(-2 * step)) / (2 * step)
    loss(step)
    torch.testing.assert_close(found[0][0], numeric.detach(), rtol=1e-6, atol=1e-6)
    assert found[0][1].abs().sum() > 0


def test_what_comes_back_to_each_gate_is_told_unless_it_draws():
    decay = torch.nn.Parameter(torch.tensor(0.9, dtype=torch.float64))
    x = torch.randn(T, B, I, dtype=torch.float64)
    for rate in (0.0, 0.5):

        def leaking(now, rate=rate):
            g = now.gate("candidate")
            return now.carry(decay * now.before() + torch.nn.functional.dropout(g, rate))

        layer = glasscell.LSTM(I, H, cell=make_custom(leaking, gates=("candidate",))).double()
        torch.nn.init.zeros_(layer.weight_hh_l0)  # so that c_t = 0.9 c_{t-1} + g_t is all there is
        decay.grad = None
        with glasscell.trace(layer, gradients=True) as trace:
            output = layer(x)[0]
            if rate:
                with pytest.raises(ValueError, match="step: it draws random numbers"):
                    output.sum().backward()
                continue
            output.sum().backward()
        later = torch.arange(T, 0, -1, dtype=torch.float64)[:, None, None]
        expected = torch.stack([0.9**k * (later > k).double() for k in range(T)]).sum(0)
        torch.testing.assert_close(trace["l0"].grad.cell, expected.expand(T, B, H))
        assert decay.grad is not None


def test_what_a_step_changes_in_place_is_its_own():
    def plain(now):
        return now.carry(now.before() + now.gate("candidate"))

    def changing(now):
        g = now.gate("candidate")
        c = now.carry(now.before() + g)
        for given in (now.x, now.h, now.before()):
            given.mul_(0.5)
        return c

    x, hx = torch.randn(T, B, I), (torch.randn(1, B, H), torch.randn(1, B, H))
    kept = [t.clone() for t in (x, *hx)]
    results = []
    for function in (plain, changing):
        torch.manual_seed(0)
        layer = glasscell.LSTM(I, H, cell=make_custom(function, gates=("candidate",)))
        with torch.no_grad():
            results.append(layer(x, hx)[0])
    assert torch.equal(*results)
    assert all(torch.equal(a, b) for a, b in zip((x, *hx), kept, strict=True))


def test_it_has_no_projection():
    with pytest.raises(InputError, match="proj_size: a cell of one's own has no projection"):
        glasscell.LSTM(I, H, proj_size=2, cell=WRITTEN)


def test_a_trace_of_it_cannot_be_written_down(tmp_path):
    _, spelt = pair()
    with glasscell.trace(spelt) as trace:
        spelt(torch.randn(T, B, I, dtype=torch.float64))
    with pytest.raises(InputError, match="l0: its cell cannot be written down"):
        trace.save(tmp_path / "trace")
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: make_custom("lstm", gates=("a",)), "function: expected a function, got str"),
        (lambda: make_custom(lstm, gates=()), "gates: expected one or more"),
        (
            lambda: make_custom(lstm, gates=("a", "a")),
            "each to have a name of its own, such as input_gate, got 'a'",
        ),
        (lambda: make_custom(lstm, gates=("a",), carried=("memory",)), '"cell" first, got'),
        (lambda: make_custom(lstm, gates=("",)), "a name of its own, such as input_gate, got ''"),
        (lambda: make_custom(lstm, gates=("my gate",)), "got 'my gate'"),
        (lambda: make_custom(lstm, gates=("hidden",)), "got 'hidden'"),
        (lambda: make_custom(lstm, gates=("cell",)), "got 'cell'"),
        (lambda: make_custom(lstm, gates=("a",), carried=("cell", "cell")), "got 'cell'"),
        (
            lambda: make_custom(lstm, gates=(GateMap("a", "a", TANH, ("x",)),)),
            "a: a cell of one's own runs it reading x h, got x",
        ),
    ],
)
def test_definitions_that_make_no_sense(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (
            lambda now: now.gate("forget"),
            "gate: expected one of input_gate, candidate, got 'forget'",
        ),
        (lambda now: now.carry(now.gate("candidate")), "of each gate, missing 'input_gate'"),
        (lambda now: now.gate("input_gate") * now.gate("candidate"), "each state, missing 'cell'"),
        (lambda now: now.before("memory"), "carries cell beside h, got 'memory'"),
        (lambda now: now.carry(now.h, "memory"), "carries cell beside h, got 'memory'"),
        (lambda now: None, r"expected it to return h_t, \(2, 5\), got NoneType"),
        (lambda now: now.h[:, :3], r"expected it to return h_t, \(2, 5\), got \(2, 3\)"),
        (lambda now: now.carry(now.h[:, :1]), r"of a tensor, \(2, 5\), got \(2, 1\)"),
        (lambda now: now.gate("candidate", now.h[:1]), r"of a tensor, \(2, 5\), got \(1, 5\)"),
    ],
)
def test_mistakes_in_a_step_say_where(function, message):
    cell = Custom(function, gates=("input_gate", "candidate"))  # type: ignore[arg-type]
    layer = glasscell.LSTM(I, H, cell=cell)
    with pytest.raises(ValueError, match=message):
        layer(torch.randn(3, 2, I))


def test_a_layer_of_another_family_says_so():
    with pytest.raises(InputError, match="has a cell state"):
        glasscell.GRU(I, H, cell=WRITTEN)
    assert GRU() != WRITTEN
