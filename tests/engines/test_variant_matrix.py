"""Every engine and variant: values against the published equations, gradients against autograd.

Outputs, last states, gates, pre-activations and cell states of every step; the gradient of every
input, weight and edit, with the loss on all of them at once; in every packing and direction, with
and without projection, noise and edits.
"""

import pytest
import torch
from tests.cells.zoo_of_variants import (
    NAMES,
    applicable,
    call_of,
    drawn,
    published_run,
    results,
    weights,
    with_edits,
    with_leaves,
)
from tests.engines.subjects import NEEDS_KERNELS
from tests.tolerances import assert_close
from torch import Tensor

from glasscell.cells import VARIANTS, Custom, Weights
from glasscell.engines import ENGINES, Call, Record
from glasscell.engines.noise import RunNoise
from glasscell.engines.unrolled import unrolled

# What the kernels do not run, and why. All others they do.
NOT_NATIVE = {
    "fgr": "no kernel for an FGR cell",
    "mut1": "no kernel for a MUT",
    "mut2": "no kernel for a MUT",
    "mut3": "no kernel for a MUT",
    "gru_reset_before": "a reset gate before the product takes two",
}
SCANNED = ("min_lstm", "min_gru")
# Cells whose papers know no projection.
UNPROJECTED = ("fgr", "layer_norm_lstm", "janet", "slstm", "min_lstm")
RUNS = [
    pytest.param(
        engine, name, id=f"{engine}-{name}", marks=NEEDS_KERNELS if engine == "native" else ()
    )
    for engine, names in (
        ("native", [name for name in NAMES if name not in NOT_NATIVE]),
        ("reference", NAMES),
        ("scan", SCANNED),
    )
    for name in names
]
PACKINGS = {  # lengths longest first, I, H
    "dense": ([4] * 5, 3, 17),
    "ragged": ([5, 5, 3, 1], 16, 33),
    "one-step": ([1], 3, 3),
}


def gradients_of(
    record: Record, leaves: list[Tensor | None], seed: int, only: tuple[str, ...] = ()
) -> list[Tensor]:
    """The gradient of every leaf that is there, with the loss on all that the record holds."""
    generator = torch.Generator().manual_seed(seed)
    found = [value for name, value in results(record).items() if not only or name in only]
    dL = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.dtype) for t in found]
    wanted = [leaf for leaf in leaves if leaf is not None]
    return list(torch.autograd.grad(found, wanted, dL, allow_unused=True, materialize_grads=True))


def assert_gradients(call: Call, engine: str, only: tuple[str, ...] = ()) -> None:
    """The engine's gradients are those of autograd through every step, in float64."""
    own, leaves = with_leaves(call)
    actual = gradients_of(ENGINES[engine].run(own), leaves, 1, only)
    exact, exact_leaves = with_leaves(call.to(torch.float64))
    steps = unrolled(exact)
    expected = gradients_of(Record.of(exact, *steps[:4]), exact_leaves, 1, only)
    names = ["x", "h_0", "c_0", *Weights._fields]
    names += [f"{e.quantity}.{table}" for e in call.edits for table in ("scale", "shift")]
    there = [name for name, leaf in zip(names, leaves, strict=True) if leaf is not None]
    for name, a, b in zip(there, actual, expected, strict=True):
        # where an edit replaces a quantity its scale is NaN, and has no gradient
        replaced = name.endswith(".scale")
        a, b = (torch.nan_to_num(t) if replaced else t for t in (a, b))
        assert_close(a, b, f"dL/d{name}", kind="gradient")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["double", "single"])
@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_values_are_the_published_ones_and_gradients_autograds(
    engine, name, dtype, reverse, packing
):
    lengths, I, H = PACKINGS[packing]
    call = call_of(VARIANTS[name], lengths, applicable(name, I, H), H, H, dtype, reverse)
    assert ENGINES[engine].refuses(call) is None
    record = ENGINES[engine].run(call)
    expected = published_run(name, call)
    for quantity, value in results(record).items():
        assert_close(value, expected[quantity], quantity)
    assert_gradients(call, engine)


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(("engine", "name"), RUNS)
def test_gradients_of_a_loss_on_one_result_alone(engine, name, reverse):
    """What a backward is not told of must not matter: each of them can be absent."""
    call = call_of(VARIANTS[name], [4, 4, 2], applicable(name, 3, 5), 5, 5, reverse=reverse)
    own, leaves = with_leaves(call)
    exact, exact_leaves = with_leaves(call)
    there, of_those = ([t for t in each if t is not None] for each in (leaves, exact_leaves))
    steps = unrolled(exact)
    found, expected = ENGINES[engine].run(own), Record.of(exact, *steps[:4])
    for quantity, value in results(expected).items():
        d = torch.randn_like(value)
        options = {"retain_graph": True, "allow_unused": True, "materialize_grads": True}
        actual = torch.autograd.grad(getattr(found, quantity), there, d, **options)
        right = torch.autograd.grad(value, of_those, d, **options)
        for k, (a, b) in enumerate(zip(actual, right, strict=True)):
            assert_close(a, b, f"gradient {k} of {quantity}", kind="gradient")


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize(
    ("engine", "name"), [run for run in RUNS if VARIANTS[str(run.values[1])].has_cell_state]
)
def test_projected(engine, name, reverse):
    lengths, I, H = PACKINGS["ragged"]
    call = call_of(VARIANTS[name], lengths, applicable(name, I, H), H, 5, reverse=reverse)
    expected = results(Record.of(call, *unrolled(call)[:4]))
    if name not in UNPROJECTED:
        expected = published_run(name, call)
    for quantity, value in results(ENGINES[engine].run(call)).items():
        assert_close(value, expected[quantity], quantity)
    assert_gradients(call, engine)


@NEEDS_KERNELS
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_NATIVE])
def test_in_bfloat16_kernels_round_as_they_should(name):
    lengths, I, H = PACKINGS["dense"]
    call = call_of(VARIANTS[name], lengths, applicable(name, I, H), H, H, torch.bfloat16)
    expected = published_run(name, call)
    for quantity, value in results(ENGINES["native"].run(call)).items():
        assert_close(value, expected[quantity], quantity, dtype=torch.bfloat16)
    if name == "slstm":  # which exponent is the larger is told by gates that may round to the same
        assert_gradients(call, "native", only=("h", "h_n"))
    elif name not in SCANNED:  # rounding takes their candidate over the jump of its slope, at 1/2
        assert_gradients(call, "native")


def noisy(name: str, how: str | None, training: bool, P: int, reverse: bool) -> Call:
    cell = drawn(VARIANTS[name], how) if how else VARIANTS[name]
    lengths, I, H = [4, 4, 2], 9, 9
    mask = (torch.rand(len(lengths), P) < 0.7).double() / 0.7 if training else None
    zoneout = (0.4 if cell.has_cell_state else 0.0, 0.3)
    noise = RunNoise(2**60 + 7, training, zoneout, mask)
    return call_of(cell, lengths, applicable(name, I, H), H, P, reverse=reverse, noise=noise)


@pytest.mark.parametrize("edited", [False, True], ids=["unedited", "edited"])
@pytest.mark.parametrize("training", [True, False], ids=["training", "evaluating"])
@pytest.mark.parametrize("how", [None, "bernoulli", "gumbel"])
@pytest.mark.parametrize(("engine", "name"), [run for run in RUNS if run.values[0] != "scan"])
def test_noise_and_edits(engine, name, how, training, edited):
    """All kinds of noise at once, and every quantity edited: against autograd through steps."""
    reverse = len(name) % 2 == 1  # both directions, among the variants
    call = noisy(name, how, training, 9, reverse)
    call = with_edits(call) if edited else call
    steps = unrolled(call)
    expected = results(Record.of(call, *steps[:4]))
    for quantity, value in results(ENGINES[engine].run(call)).items():
        assert_close(value, expected[quantity], quantity)
    assert_gradients(call, engine)


@NEEDS_KERNELS
@pytest.mark.parametrize("name", [n for n in NAMES if VARIANTS[n].has_cell_state and n != "fgr"])
def test_noise_and_edits_of_projected_cells(name):
    call = with_edits(noisy(name, "bernoulli", True, 4, False))
    expected = results(Record.of(call, *unrolled(call)[:4]))
    for quantity, value in results(ENGINES["native"].run(call)).items():
        assert_close(value, expected[quantity], quantity)
    assert_gradients(call, "native")


@NEEDS_KERNELS
@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_NATIVE])
def test_kernels_give_the_same_bits_at_any_number_of_threads(name):
    H = 40
    noise = RunNoise(3, True, (0.2 if VARIANTS[name].has_cell_state else 0.0, 0.2))
    call = call_of(
        VARIANTS[name], [9] * 13, applicable(name, 8, H), H, H, torch.float32, noise=noise
    )
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            own, leaves = with_leaves(call)
            record = ENGINES["native"].run(own)
            found.append([*results(record).values(), *gradients_of(record, leaves, 1)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("name", NOT_NATIVE)
@NEEDS_KERNELS
def test_what_kernels_do_not_run_they_say(name):
    call = call_of(VARIANTS[name], [2], 3, 3, 3)
    assert NOT_NATIVE[name] in (ENGINES["native"].refuses(call) or "")


def test_a_step_of_ones_own_runs_in_the_reference_alone():
    def leaky(now):
        i, g = now.gate("input_gate"), now.gate("candidate")
        return torch.tanh(now.carry(0.9 * now.before() + i * g))

    cell = Custom(leaky, gates=("input_gate", "candidate"))  # type: ignore[arg-type]
    call = call_of(cell, [4, 4, 2], 3, 5, 5)
    able = [name for name, engine in ENGINES.items() if engine.refuses(call) is None]
    assert able == ["reference"]
    assert_gradients(with_edits(call), "reference")
    W = weights(cell, 3, 5, 5, torch.float64)
    assert W.W.shape == (10, 3)
