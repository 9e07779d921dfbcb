"""How surprise reaches back: against torch's own gradients, one loss at a time."""

import math
import sys
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import glasscell
from glasscell import analysis
from glasscell.errors import InputError

V, H, W = 5, 7, 9
CELLS = {"lstm": glasscell.LSTM, "gru": glasscell.GRU, "rnn": glasscell.RNN}


class Reader(nn.Module):
    def __init__(self, kind: Any = glasscell.LSTM, layers: int = 2, **options) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, 3)
        self.rnn = kind(3, H, layers, **options)
        self.output = nn.Linear(H * (2 if options.get("bidirectional") else 1), V)

    def forward(self, tokens, state=None):
        x = self.embedding(tokens)
        if self.rnn.batch_first:
            x = x.transpose(0, 1)
        h, last = self.rnn(x, state)
        if self.rnn.batch_first:
            h = h.transpose(0, 1)
        return self.output(h), last


@pytest.fixture
def ids():
    torch.manual_seed(1)
    return torch.randint(V, (W,))


def reader(kind: Any = glasscell.LSTM, **options) -> Reader:
    torch.manual_seed(0)
    return Reader(kind, **options).double()


def by_autograd(model: Reader, ids, layer: int):
    """(W, W) |dL_s/dh_t|, |dL_s/dc_t| of one layer, by a loop of cells that keeps each state."""
    cell_of = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[model.rnn.cell.kind]
    cells = []
    for k in range(2):
        cell = cell_of(3 if k == 0 else H, H).double()
        names = {f"{n}_l{k}": p for n, p in cell.named_parameters()}
        for name, parameter in names.items():
            parameter.data = getattr(model.rnn, name).data
        cells.append(cell)
    has_cell = cell_of is nn.LSTMCell
    zero = torch.zeros(1, H, dtype=torch.float64)
    states = [(zero, zero) if has_cell else zero for _ in cells]
    hs, cs, scores = [], [], []
    for token in ids:
        x = model.embedding(token[None])
        for k, cell in enumerate(cells):
            if has_cell:
                h, c = states[k]
                pre = F.linear(x, cell.weight_ih, cell.bias_ih)
                i, f, g, o = (pre + F.linear(h, cell.weight_hh, cell.bias_hh)).chunk(4, -1)
                c = f.sigmoid() * c + i.sigmoid() * g.tanh()
                x = o.sigmoid() * c.tanh()
                states[k] = x, c
            else:
                x = c = states[k] = cell(x, states[k])
            if k == layer:
                hs.append(x)
                cs.append(c)
        scores.append(model.output(x))
    dh, dc = torch.zeros(W, W).double(), torch.zeros(W, W).double()
    bits = torch.full((W,), math.nan).double()
    for s in range(1, W):
        loss = F.cross_entropy(scores[s - 1], ids[s : s + 1]) / math.log(2)
        bits[s] = loss.detach()
        for found, states_of in ((dh, hs), (dc, cs)):
            grads = torch.autograd.grad(loss, states_of, retain_graph=True, allow_unused=True)
            for t, grad in enumerate(grads):
                found[s, t] = 0 if grad is None else grad.norm()
    return dh, dc, bits


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("layer", [0, 1])
def test_all_pairs_are_autograds(ids, kind, layer):
    model = reader(CELLS[kind])
    flow = analysis.surprise_flow(model, ids, start=40)
    found = flow.layers[f"rnn.l{layer}"]
    dh, dc, bits = by_autograd(model, ids, layer)
    torch.testing.assert_close(found.hidden, dh, rtol=1e-9, atol=1e-14)
    assert (found.cell is None) == (kind != "lstm")
    if found.cell is not None:
        torch.testing.assert_close(found.cell, dc, rtol=1e-9, atol=1e-14)
    torch.testing.assert_close(flow.surprise, bits, equal_nan=True)
    assert (flow.start, flow.steps) == (40, W)
    assert found.hidden.triu().count_nonzero() == 0


def test_the_two_ways_are_the_forget_gate_and_the_rest(ids):
    """carried is f_{t+1} * dL/dc_{t+1}; at the last step before the surprise nothing is."""
    model = reader(layers=1)
    flow = analysis.surprise_flow(model, ids).layers["rnn.l0"]
    s = 6
    with glasscell.trace(model, gradients=True) as trace:
        scores = model(ids[:s, None])[0][-1]
        (F.cross_entropy(scores, ids[s : s + 1]) / math.log(2)).backward()
    layer = trace["rnn.l0"]
    d_cell = layer.grad.cell[:, 0]
    along = layer.forget_gate[1:, 0] * d_cell[1:]
    assert flow.carried is not None
    assert flow.through_gates is not None
    torch.testing.assert_close(flow.carried[s, : s - 1], along.norm(dim=-1))
    assert flow.carried[s, s - 1] == 0
    rest = d_cell[: s - 1] - along
    torch.testing.assert_close(flow.through_gates[s, : s - 1], rest.norm(dim=-1))
    assert analysis.surprise_flow(reader(glasscell.RNN), ids).layers["rnn.l0"].carried is None


def test_parts_batch_first_and_torchs_own_layers_change_nothing(ids, monkeypatch):
    model = reader()
    whole = analysis.surprise_flow(model, ids).layers["rnn.l1"]
    module = sys.modules["glasscell.analysis.gradients.surprise_flow"]  # the function has its name
    monkeypatch.setattr(module, "AT_ONCE", 2 * H * 4 * W * 2)
    part = analysis.surprise_flow(model, ids).layers["rnn.l1"]
    torch.testing.assert_close(part.hidden, whole.hidden)
    for kind, options in ((glasscell.LSTM, {"batch_first": True}), (nn.LSTM, {})):
        other = reader(kind, **options)
        other.load_state_dict(model.state_dict())
        found = analysis.surprise_flow(other, ids).layers["rnn.l1"]
        torch.testing.assert_close(found.state, whole.state)


def test_a_window_goes_on_from_the_state_before_it(ids):
    model = reader()
    with torch.no_grad():
        _, (h, c) = model(ids[:4, None])

    def read(tokens):
        many = tokens.shape[1]
        return model(tokens, (h.repeat(1, many, 1), c.repeat(1, many, 1)))[0]

    later = analysis.surprise_flow(model, ids[4:], read, start=4)
    whole = analysis.surprise_flow(model, ids)
    for name, found in later.layers.items():
        torch.testing.assert_close(found.state[1:], whole.layers[name].state[5:, 4:])
    torch.testing.assert_close(later.surprise[1:], whole.surprise[5:])


def test_the_model_is_left_as_it_was(ids):
    model = reader()
    weight = model.output.weight
    weight.grad = torch.ones_like(weight)
    analysis.surprise_flow(model, ids)
    assert torch.equal(weight.grad, torch.ones_like(weight))
    assert model.embedding.weight.grad is None
    free = analysis.surprise_flow(model, ids).layers["rnn.l0"].state
    frozen = analysis.surprise_flow(model.requires_grad_(False), ids).layers["rnn.l0"].state
    torch.testing.assert_close(frozen, free)


def test_what_has_no_gradient_is_refused(ids):
    with pytest.raises(InputError, match=r"ids: expected .* at least 2 tokens, got \(1,\)"):
        analysis.surprise_flow(reader(), ids[:1])
    model = reader()
    with pytest.raises(InputError, match="expected a loss that has a gradient"):
        analysis.surprise_flow(model, ids, lambda tokens: torch.no_grad()(model)(tokens)[0])
    with pytest.raises(InputError, match=r"forwards; rnn\.l0_reverse has seen"):
        analysis.surprise_flow(reader(bidirectional=True), ids)
    with pytest.raises(InputError, match="Embedding has no LSTM, GRU or RNN layer"):
        analysis.surprise_flow(nn.Embedding(V, V), ids)
    with pytest.raises(InputError, match=r"read: expected scores \(1, 1, V\), got \(1, 1\)"):
        analysis.surprise_flow(model, ids, lambda tokens: model(tokens)[0][..., 0])

    def twice(tokens):
        model(tokens)
        return model(tokens)[0]

    with pytest.raises(InputError, match="one of them runs several times"):
        analysis.surprise_flow(model, ids, twice)
