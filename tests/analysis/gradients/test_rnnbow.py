from typing import Any

import pytest
import torch
from tests.analysis.gradients.unrolled import Unrolled, unroll
from tests.tolerances import assert_close
from torch import Tensor, nn

import glasscell
from glasscell import analysis
from glasscell.analysis.gradients import batched_backward
from glasscell.errors import InputError

T, B, I, H = 7, 3, 4, 5
LENGTHS = [4, 7, 6]
MAKERS = [glasscell.LSTM, glasscell.GRU, glasscell.RNN]


def built(make, **options) -> tuple[Any, Tensor]:
    torch.manual_seed(0)
    return make(I, H, dtype=torch.float64, **options), torch.randn(T, B, I, dtype=torch.float64)


def matrix(run: Unrolled, losses: list[Tensor], of: list[Tensor]) -> Tensor:
    """(T, T) norms of dL_s/d(each), in visited order."""
    return torch.stack([run.gradients(loss, of).norm(dim=-1) for loss in losses])


@pytest.mark.parametrize("lengths", [None, LENGTHS], ids=["dense", "ragged"])
@pytest.mark.parametrize("name", ["l0", "l0_reverse"])
@pytest.mark.parametrize("make", MAKERS)
def test_states_and_totals_against_autograd(make, name, lengths):
    module, x = built(make, bidirectional=True)
    reverse, is_lstm = name == "l0_reverse", make is glasscell.LSTM
    for b, length in enumerate(lengths or [T] * B):
        d = torch.randn(length, H, dtype=torch.float64)
        found = analysis.rnnbow(module, x, lengths=lengths, layer=name, loss=d, b=b)
        run = unroll(module, x[:length, b], name, reverse)
        visited = d.flip(0) if reverse else d
        losses = [h @ v for h, v in zip(run.h, visited, strict=True)]
        dims = (0, 1) if reverse else ()
        assert_close(found.hidden, matrix(run, losses, run.h).flip(dims))
        if is_lstm:
            assert_close(found.state, matrix(run, losses, run.c).flip(dims))
        else:
            assert found.cell is None
        total = torch.stack(losses).sum()
        dU, dW = torch.autograd.grad(total, [run.U, run.W], retain_graph=True)
        assert_close(found.total_recurrent, dU)
        assert_close(found.total_input, dW)
        d_state = run.gradients(total, run.c if is_lstm else run.h)
        assert_close(found.total_state, d_state.flip(dims[:1]))


@pytest.mark.parametrize("make", MAKERS)
def test_each_item_is_what_weights_of_its_own_step_would_get(make):
    """Were the weights of every step their own, dL_s/d(those of step t) would be item (s, t)."""
    module, x = built(make)
    found = analysis.rnnbow(module, x, b=1)
    W = [module.weight_ih_l0.detach().clone().requires_grad_() for _ in range(T)]
    U = [module.weight_hh_l0.detach().clone().requires_grad_() for _ in range(T)]
    b_x, b_h = module.bias_ih_l0.detach(), module.bias_hh_l0.detach()
    cell, h = module.cell, torch.zeros(1, H).double()
    c = h if cell.has_cell_state else None
    losses = []
    for t in range(T):
        weights = glasscell.cells.Weights(W[t], U[t], b_x, b_h)
        step = cell.step(x[t, 1:2], h, c, weights)
        h, c = step.h, step.c
        losses.append(h.sum())
    items = {"recurrent": U, "input": W}
    totals = {"recurrent": found.total_recurrent, "input": found.total_input}
    for name, own in items.items():
        total = torch.zeros_like(totals[name])
        for s, loss in enumerate(losses):
            grads = torch.autograd.grad(loss, own, retain_graph=True, allow_unused=True)
            for t, given in enumerate(grads):
                item = torch.zeros_like(total) if given is None else given
                share = (item * totals[name]).sum() / totals[name].square().sum()
                assert_close(getattr(found, name)[s, t], item.norm())
                assert_close(getattr(found, f"{name}_share")[s, t], share)
                total = total + item
        assert_close(totals[name], total)
        assert_close(getattr(found, f"{name}_share").sum(), torch.tensor(1.0).double())


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_in_small_portions_and_on_either_engine(engine, monkeypatch):
    module, x = built(glasscell.LSTM)
    whole = analysis.rnnbow(module, x)
    monkeypatch.setattr(batched_backward, "AT_ONCE", 4 * H * 10)
    if engine == "reference":
        monkeypatch.setattr(
            type(batched_backward.ENGINES["native"]), "refuses", lambda self, call: "not today"
        )
    portions = analysis.rnnbow(module, x)
    assert_close(portions.recurrent, whole.recurrent)
    assert_close(portions.recurrent_share, whole.recurrent_share)


def test_a_model_of_the_layer_and_a_head():
    """The loss of a whole model, whose head reads every step; the layer's own dtype is kept."""
    torch.manual_seed(0)
    layer: Any = glasscell.LSTM(I, H, num_layers=2, batch_first=True)
    head = nn.Linear(H, 3)
    x, targets = torch.randn(B, T, I), torch.randint(3, (B, T))

    def loss(h: Tensor) -> Tensor:
        real = torch.arange(T) < torch.tensor(LENGTHS)[:, None]
        return nn.functional.cross_entropy(head(h)[real], targets[real], reduction="sum")

    dU = torch.zeros_like(layer.weight_hh_l1).double()
    dW = torch.zeros_like(layer.weight_ih_l1).double()
    for b in range(B):
        found = analysis.rnnbow(layer, x, lengths=LENGTHS, loss=loss, b=b)
        assert found.layer == "l1"
        dU, dW = dU + found.total_recurrent, dW + found.total_input
    loss(layer(x, lengths=LENGTHS)[0]).backward()
    assert_close(dU, layer.weight_hh_l1.grad, dtype=torch.float32, kind="gradient")
    assert_close(dW, layer.weight_ih_l1.grad, dtype=torch.float32, kind="gradient")


@pytest.mark.parametrize("engine", ["native", "reference"])
@pytest.mark.parametrize("make", MAKERS)
def test_edits_are_part_of_it(make, engine):
    module, x = built(make, engine=engine)
    gate = module.cell.quantities[0]
    with (
        glasscell.edit(module, "l0", gate, units=[1, 3], scale=1.7),
        glasscell.edit(module, "l0", gate, units=[0], steps=3, set=0.3),
        glasscell.edit(module, "l0", module.cell.state, units=[2], add=0.2),
        glasscell.edit(module, "l0", "hidden", steps=slice(4, 6), scale=0.5),
    ):
        found = analysis.rnnbow(module, x, b=1)
        module(x)[0][:, 1].sum().backward()
    assert_close(found.total_recurrent, module.weight_hh_l0.grad)
    assert_close(found.total_input, module.weight_ih_l0.grad)
    assert_close(found.recurrent_share.sum(), torch.tensor(1.0).double())


def test_a_loss_on_the_last_step_alone():
    module, x = built(glasscell.GRU)
    v = torch.randn(H, dtype=torch.float64)
    found = analysis.rnnbow(module, x, loss=lambda h: h[-1, 0] @ v)
    flow = analysis.gradient_flow(module, x, loss=v)
    assert_close(found.hidden[-1], flow.hidden[:, 0].flip(0))
    assert torch.count_nonzero(found.hidden[:-1]) == 0


@pytest.mark.parametrize("make", [glasscell.GRU, nn.GRU])
def test_a_single_sequence(make):
    module, x = built(make)
    whole = analysis.rnnbow(module, x, lengths=LENGTHS, b=2)
    single = analysis.rnnbow(module, x[: LENGTHS[2], 2], loss=lambda h: h.sum())
    assert_close(single.recurrent, whole.recurrent)
    assert_close(single.total_input, whole.total_input)


def test_a_projection():
    module, x = built(glasscell.LSTM, proj_size=2)
    found = analysis.rnnbow(module, x)
    output, _ = module(x[:, :1])
    output.sum().backward()
    assert_close(found.total_recurrent, module.weight_hh_l0.grad)
    assert_close(found.total_input, module.weight_ih_l0.grad)


def test_bad_input():
    module, x = built(glasscell.LSTM)
    with pytest.raises(InputError, match="b: expected a sequence of the batch, 0 to 2, got 3"):
        analysis.rnnbow(module, x, b=3)
    with pytest.raises(InputError, match=r"loss: expected \(5,\), or \(4, 5\) for sequence 0, got"):
        analysis.rnnbow(module, x, lengths=LENGTHS, loss=torch.ones(T, H))
    with pytest.raises(InputError, match=r"loss: expected a function from the hidden states"):
        analysis.rnnbow(module, x, loss=lambda h: h.detach().sum())
    with pytest.raises(TypeError, match="module: expected an LSTM"):
        analysis.rnnbow(nn.Linear(2, 2), x)
