"""The kernels of every instruction set that runs here, against the reference in float64."""

import pytest
from tests.cells.zoo import SUBJECTS
from tests.engines.calls import (
    TARGETS,
    assert_same_in_every_bit,
    call_of,
    everything,
    exact,
    gradients,
    has_a_jump,
    leaves,
    loss_on,
)
from tests.engines.subjects import NATIVE, NEEDS_KERNELS
from tests.tolerances import assert_close

from glasscell import ops
from glasscell.engines.packed import kernels

WORKS = {  # I, H, P, lengths
    "ends-of-rows": (17, 33, 5, [6, 5, 5, 2, 1]),
    "whole-strips": (64, 128, 64, [4] * 9),
    "wide": (3, 130, 65, [5, 3]),
}

pytestmark = NEEDS_KERNELS


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize("dtype", NATIVE.dtypes, ids=str)
@pytest.mark.parametrize("name", SUBJECTS)
def test_every_result_and_gradient(variant, name, dtype, work, reverse):
    I, H, P, lengths = WORKS[work]
    tensors = leaves(name, lengths, I, H, dtype, P)
    doubles = exact(tensors)
    found = ops.run(call_of(name, tensors, lengths, reverse), "native")
    oracle = ops.run(call_of(name, doubles, lengths, reverse), "reference")
    for target in TARGETS:
        assert_close(getattr(found, target), getattr(oracle, target), target, dtype=dtype)
    if has_a_jump(name, dtype):
        return
    ds = loss_on(found)
    expected = gradients(oracle, {target: d.double() for target, d in ds.items()}, doubles)
    for letter, gradient in gradients(found, ds, tensors).items():
        assert_close(gradient, expected[letter], f"dL/d{letter}", dtype=dtype, kind="gradient")


@pytest.mark.parametrize("dtype", NATIVE.dtypes, ids=str)
def test_the_same_weights_are_packed_anew_for_another_instruction_set(dtype):
    module = kernels()
    assert module is not None
    assert module.variants()[-1] == "baseline"
    tensors, before = leaves("lstm-projected", [3, 2], 5, 33, dtype), module.variant()
    first = everything("native", "lstm-projected", tensors, [3, 2])
    try:
        for variant in module.variants():
            module.use_variant(variant)
            found = everything("native", "lstm-projected", tensors, [3, 2])
            for key, value in first.items():
                kind = "gradient" if key.startswith("d") else "value"
                assert_close(found[key], value, key, kind=kind)
    finally:
        module.use_variant(before)
    assert_same_in_every_bit(everything("native", "lstm-projected", tensors, [3, 2]), first)


def test_an_instruction_set_that_is_not_here_is_refused():
    module = kernels()
    assert module is not None
    before = module.variant()
    with pytest.raises(ValueError, match='no kernels for "sse9" here'):
        module.use_variant("sse9")
    assert module.variant() == before
