import pytest
import torch
from tests.tolerances import assert_close

import glasscell
from glasscell.analysis import ledger
from glasscell.errors import InputError

T, B, I, H = 9, 3, 4, 5
LENGTHS = [9, 4, 7]


def traced(make, lengths=None, given=True, **options):
    """The layers of a recorded run, which started from random states."""
    torch.manual_seed(0)
    module = make(I, H, dtype=torch.float64, **options)
    LD = 2 if options.get("bidirectional") else 1
    states = torch.randn(2, LD, B, H, dtype=torch.float64)
    hx = (states[0], states[1]) if make is glasscell.LSTM else states[0]
    x = torch.randn(T, B, I, dtype=torch.float64)
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(x, hx if given else None, lengths=lengths)
    return trace


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", ["l0", "l0_reverse"])
@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU])
def test_the_account_sums_to_the_state(make, name, lengths):
    layer = traced(make, lengths, bidirectional=True)[name]
    for b in range(B):
        states = layer.sequence(layer.definition.state, b)
        for step in range(len(states)):
            account = ledger(layer, step, b)
            assert_close(account.total, states[step])
            visited = range(len(states) - 1, step - 1, -1) if layer.reverse else range(step + 1)
            assert account.steps.tolist() == list(visited)


@pytest.mark.parametrize("make", [glasscell.LSTM, glasscell.GRU])
def test_a_contribution_is_what_is_missing_without_that_write(make):
    layer = traced(make)["l0"]
    gates = torch.stack([layer.sequence(gate.name) for gate in layer.gate_maps], -2)
    carried = layer.definition.carry(gates)
    assert carried is not None
    keep, write = carried
    start = layer.initial_cell[0] if make is glasscell.LSTM else layer.initial_hidden[0]

    def last_state(write, start):
        for f, w in zip(keep, write, strict=True):
            start = f * start + w
        return start

    account = ledger(layer)
    whole = last_state(write, start)
    for k in range(T):
        without = write.clone()
        without[k] = 0
        assert_close(account.contributions[k], whole - last_state(without, start))
    assert_close(account.rest, whole - last_state(write, torch.zeros_like(start)))


def test_by_hand(layer_with):
    """It writes 0.5 * 0.8 at the first step; then the gate lets a half, a quarter, nothing stay."""
    f = torch.tensor([[0.3], [0.5], [0.25], [0.0]])
    g = torch.tensor([[0.8], [0.0], [0.0], [0.0]])
    layer = layer_with("lstm", forget_gate=f, candidate=g)
    found = [ledger(layer, step).contributions[0].item() for step in range(4)]
    assert found == pytest.approx([0.4, 0.2, 0.05, 0.0])
    assert ledger(layer, 2).kept.flatten().tolist() == pytest.approx([0.125, 0.25, 1.0])
    assert ledger(layer, 2).initial_kept.item() == pytest.approx(0.3 * 0.5 * 0.25)


def test_a_single_sequence_and_steps_from_the_end():
    module = glasscell.LSTM(I, H)
    with torch.no_grad(), glasscell.trace(module) as trace:
        module(torch.randn(T, I))
    assert_close(ledger(trace["l0"], -2).total, trace["l0"].cell[-2], dtype=torch.float32)
    assert ledger(trace["l0"], -2).step == T - 2


def test_what_has_no_account():
    with pytest.raises(InputError, match="rnn writes its whole state anew"):
        ledger(traced(glasscell.RNN)["l0"])
    layer = traced(glasscell.LSTM, LENGTHS)["l0"]
    for step in (4, -5):
        with pytest.raises(InputError, match=rf"step: expected -4 to 3, .* sequence 1, got {step}"):
            ledger(layer, step, b=1)
    with pytest.raises(InputError, match="b: expected a sequence of the batch"):
        ledger(layer, b=3)
