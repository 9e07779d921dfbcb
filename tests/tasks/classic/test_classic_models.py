"""The model of the classic tasks, weights set by hand, and how forget gates begin."""

import pytest
import torch
from scipy import stats

import glasscell
from glasscell.cells import LSTM as LSTMCell
from glasscell.cells import VARIANTS, with_peepholes
from glasscell.errors import InputError
from glasscell.nn import GRU, LSTM, RNN
from glasscell.tasks.classic import (
    Adding,
    Reber,
    SequenceModel,
    TemporalOrder,
    Turnstile,
    counting_turnstile,
)
from glasscell.tasks.forget_gates import start_chrono, start_forget_gate


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "relu_rnn"])
@pytest.mark.parametrize("task", [Adding(20), TemporalOrder(20), Turnstile(20)])
def test_answers_at_the_end_or_at_every_step_from_the_layers_own_states(cell, task):
    model = SequenceModel(task, cell, hidden=5)
    batch = task.batch(3, torch.Generator().manual_seed(0))
    lengths = torch.tensor([20, 7, 12])
    answers = model(batch.inputs, lengths=lengths)
    h, _ = model.rnn(batch.inputs, lengths=lengths)
    for b, n in enumerate(lengths):
        if task.every_step:
            assert torch.allclose(answers[:n, b], model.head(h[:n, b]))
        else:
            assert torch.allclose(answers[b], model.head(h[n - 1, b]))


def test_a_cell_that_is_not_there():
    with pytest.raises(InputError, match="no variant 'lstmm'; did you mean lstm"):
        SequenceModel(Adding(20), "lstmm")


@pytest.mark.parametrize("wrong", [{"hidden": 0}, {"layers": 0}])
def test_a_model_without_units_or_layers(wrong):
    with pytest.raises(InputError, match=f"{next(iter(wrong))}: expected at least 1, got 0"):
        SequenceModel(Adding(20), **wrong)


@pytest.mark.parametrize("cell", [*VARIANTS, "lstm(forget_gate=None)", with_peepholes(LSTMCell())])
def test_every_cell_that_the_layers_know_answers_in_any_batch_as_alone(cell):
    task = Reber()
    model = SequenceModel(task, cell, hidden=5, layers=2).eval()
    batch = task.batch(3, torch.Generator().manual_seed(0))
    with torch.no_grad():
        answers = model(batch.inputs, lengths=batch.lengths)
        for b, n in enumerate(batch.lengths):
            alone = model(batch.inputs[:n, b : b + 1])
            assert torch.allclose(answers[:n, b : b + 1], alone, atol=1e-5)
    assert set(dict(model.named_parameters())) >= {"rnn.weight_ih_l1", "head.weight"}


def test_options_reach_the_layers():
    model = SequenceModel(Reber(), "peephole", hidden=4, layers=2, forget_bias=1.5)
    for k in range(2):
        b = model.rnn.get_parameter(f"bias_ih_l{k}") + model.rnn.get_parameter(f"bias_hh_l{k}")
        assert b[4:8].tolist() == [1.5] * 4


def test_the_turnstile_set_by_hand_counts_each_coin_for_ever():
    model = counting_turnstile()
    assert torch.equal(model.rnn.weight_ih_l0, torch.eye(2))
    assert torch.equal(model.rnn.weight_hh_l0, torch.eye(2))
    task = Turnstile(T=3000)
    batch = task.batch(20, torch.Generator().manual_seed(1))
    with torch.no_grad(), glasscell.trace(model) as trace:
        answers = model(batch.inputs)
    assert torch.equal(trace["rnn.l0"].hidden, batch.inputs.cumsum(0))
    assert task.score(answers, batch) == 1.0


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
def test_forget_biases_are_set_in_every_layer_and_direction_and_nothing_else(options):
    torch.manual_seed(0)
    layer = glasscell.LSTM(3, 4, **options)
    before = {name: value.clone() for name, value in layer.named_parameters()}
    start_forget_gate(layer, 1.5)
    for name, value in layer.named_parameters():
        if name.startswith("bias"):
            expected = before[name].clone()
            expected[4:8] = 1.5 if "_ih_" in name else 0.0
            assert torch.equal(value, expected)
        else:
            assert torch.equal(value, before[name])


def test_chrono_draws_memories_of_all_lengths():
    T, H = 200, 1000
    layer = glasscell.LSTM(1, H)
    bias = dict(layer.named_parameters())["bias_ih_l0"].detach()
    before = bias.clone()
    start_chrono(layer, T, torch.Generator().manual_seed(0))
    i, f, _, _ = (bias + layer.state_dict()["bias_hh_l0"]).chunk(4)
    assert torch.equal(i, -f)
    # exp(b_f) is uniform between 1 and T - 1 (equation 16 of the paper)
    drawn = f.double().exp().numpy()
    assert stats.kstest(drawn, stats.uniform(1, T - 2).cdf).pvalue > 0.01
    assert torch.equal(bias[2 * H :], before[2 * H :])
    # 1 / (1 - sigmoid(b_f)) steps is the time constant: 1 + exp(b_f), from 2 to T
    spans = 1 / (1 - f.double().sigmoid())
    assert 2 <= float(spans.min()) < 3
    assert T - 1 < float(spans.max()) <= T * (1 + 1e-4)


def test_chrono_needs_steps():
    with pytest.raises(InputError, match="longest: expected at least 3 steps, got 2"):
        start_chrono(glasscell.LSTM(1, 2), 2)


def test_an_edited_bias_is_seen_by_the_kernels():
    # in-place changes must not leave packed weights behind
    layer = glasscell.LSTM(2, 3)
    x = torch.randn(4, 1, 2)
    layer(x)
    start_forget_gate(layer, 7.0)
    with glasscell.trace(layer) as trace:
        layer(x)
    zero = trace["l0"].pre.forget_gate[0, 0] - layer.weight_ih_l0[3:6] @ x[0, 0]
    assert torch.allclose(zero, torch.full((3,), 7.0), atol=1e-5)


@pytest.mark.parametrize("layer", [GRU(1, 2), RNN(1, 8), LSTM(1, 4, bias=False)])
def test_only_an_lstm_with_biases_has_a_forget_gate_to_start(layer):
    before = [weight.clone() for weight in layer.parameters()]
    for start in (lambda: start_forget_gate(layer, 1.0), lambda: start_chrono(layer, 10)):
        with pytest.raises(InputError, match="layer: expected"):
            start()
    for weight, same in zip(layer.parameters(), before, strict=True):
        assert torch.equal(weight, same)
