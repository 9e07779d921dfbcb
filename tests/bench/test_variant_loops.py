"""The loops beside which variants are measured: each is the cell that it stands beside."""

import math

import pytest
import torch
from tests.tolerances import assert_close

import glasscell
from glasscell.bench.scale import Scale
from glasscell.bench.variant_loops import LoopedVariant, has_loop
from glasscell.bench.works import variants
from glasscell.cells import VARIANTS

LOOPED = [name for name, cell in VARIANTS.items() if has_loop(cell)]
TINY = Scale(budget=0.0, rounds=1, T=6, few=True, divide=16)


def pair(cell="lstm", **options):
    """A loop and our layer with the same weights, in float64."""
    loop = LoopedVariant(4, 5, cell=cell, **options).double()
    layer = glasscell.Recurrent(4, 5, cell=cell, engine="reference", **options).double()
    for weight in loop.parameters():  # gains and shifts begin at 1 and 0
        torch.nn.init.normal_(weight, std=0.7)
    layer.load_state_dict(loop.state_dict())
    return loop, layer


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", LOOPED)
def test_outputs_and_gradients(cell, bias):
    loop, layer = pair(cell, bias=bias)
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    output, right = loop(x)[0], layer(x)[0]
    assert_close(output, right)
    d = torch.randn_like(output)
    for found, wanted in zip(
        torch.autograd.grad(output, tuple(loop.parameters()), d, allow_unused=True),
        torch.autograd.grad(right, tuple(layer.parameters()), d),
        strict=True,
    ):
        if wanted.numel():
            assert_close(found, wanted, kind="gradient")


def test_what_has_no_loop():
    assert set(VARIANTS) - set(LOOPED) == {"fgr", "gru_reset_before", "mut1", "mut2", "mut3"}


@pytest.mark.parametrize("variant", variants.CHANCE, ids=lambda variant: variant.name)
def test_chance_has_a_part(variant):
    loop, _ = pair(**variant.options)
    plain, _ = pair()
    plain.load_state_dict(loop.state_dict())
    x = torch.randn(6, 3, 4, dtype=torch.float64)
    assert not torch.allclose(loop(x)[0], plain(x)[0])
    assert not torch.allclose(loop(x)[0], loop(x)[0])


def test_held_units_are_those_of_the_step_before():
    loop = LoopedVariant(4, 200, zoneout=(0.0, 0.3))
    output, _ = loop(torch.randn(50, 4, 4))
    stayed = (output[1:] == output[:-1]).double().mean()
    assert stayed.item() == pytest.approx(0.3, abs=0.02)


@pytest.mark.parametrize(("how", "temperature"), [("bernoulli", 1.0), ("gumbel", 1e-3)])
def test_gates_open_as_often_as_they_say(how, temperature):
    """An RNN of nothing: a candidate of 1, an input gate whose odds are 1 / 4, no past."""
    line = (
        "lstm(forget_gate=None, output_gate=None, output_squash=identity, "
        f"input_gate=gate(stochastic='{how}', temperature={temperature}))"
    )
    loop = LoopedVariant(1, 4000, cell=line)
    for weight in loop.parameters():
        torch.nn.init.zeros_(weight)
    biases = torch.tensor([[-math.log(3)], [20.0]]).expand(2, 4000).flatten()
    loop.load_state_dict({"bias_ih_l0": biases}, strict=False)
    output = loop(torch.zeros(1, 1, 1))[0].detach()
    assert output.mean().item() == pytest.approx(0.25, abs=0.03)
    assert ((output < 1e-3) | (output > 1 - 1e-3)).double().mean() > 0.98


@pytest.mark.parametrize(
    "cases", [variants.lstms, variants.others, variants.normalised, variants.chance]
)
def test_the_plain_layer_stands_beside(cases):
    for comparison in cases(TINY):
        name = comparison.rivals[0].name
        assert name in ("plain LSTM", "plain GRU")
        assert comparison.flops is not None
        assert all(rival.answer is None for rival in comparison.rivals)  # another cell


def test_operations_are_those_of_the_products():
    flops = {each.case.split()[0]: each.flops for each in variants.others(TINY)}  # of training
    H, N = 8, TINY.T
    assert flops["min_gru"] == 3 * 2 * 2 * H * H * N  # two gates that read x alone
    assert flops["rnn"] == 3 * 2 * 2 * H * H * N
    assert flops["indrnn"] == 3 * 2 * H * H * N


@pytest.mark.parametrize(
    "cases", [variants.others, variants.chance, variants.beside_loops, variants.peephole_training]
)
def test_answers_are_right(cases):
    row = list(cases(TINY))[-1].measure(budget=0.0, rounds=1)
    assert (row.wrong, row.left_out) == (None, {})


def test_the_answer_of_a_drawn_gate_is_that_of_its_first_steps():
    *_, training = (c for c in variants.chance(TINY) if c.case.startswith("bernoulli"))
    assert training.ours.answer is not None
    assert training.ours.answer().values["output"].shape[0] == variants.FIRST_TURNING
    assert training.shape["T"] == TINY.T
