"""Flax's own modules, linen and nnx, as ours and back."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import linen as flax_linen
from flax import nnx as flax_nnx
from tests.interchange.running import assert_agree, assert_same_layer, flat, layer_of, ran
from tests.tolerances import assert_same_bits

import glasscell
from glasscell import InputError, cells

I, H, T, B = 5, 6, 7, 3
nnx: Any = flax_nnx  # as modules are made of parts of any kind here
linen: Any = flax_linen
QUICK = {
    "kernel_init": jax.nn.initializers.zeros,
    "recurrent_kernel_init": jax.nn.initializers.zeros,
}
HARD = {"gate_fn": jax.nn.hard_sigmoid, "activation_fn": jax.nn.hard_tanh}
LINEN = {
    "lstm": (linen.LSTMCell, {}, "lstm"),
    "lstm-optimized": (linen.OptimizedLSTMCell, {}, "lstm"),
    "lstm-hard": (linen.LSTMCell, HARD, "hard_lstm"),
    "gru": (linen.GRUCell, {}, "gru"),
    "gru-relu": (linen.GRUCell, {"activation_fn": jax.nn.relu}, "gru(candidate=gate(squash=relu))"),
    "simple": (linen.SimpleCell, {}, "rnn"),
    "simple-relu": (linen.SimpleCell, {"activation_fn": jax.nn.relu}, "relu_rnn"),
}
NNX = {
    "lstm": (nnx.LSTMCell, {}, "lstm"),
    "lstm-optimized": (nnx.OptimizedLSTMCell, {}, "lstm"),
    "lstm-hard": (nnx.OptimizedLSTMCell, HARD, "hard_lstm"),
    "gru": (nnx.GRUCell, {}, "gru"),
    "simple": (nnx.SimpleCell, {}, "rnn"),
    "simple-relu": (nnx.SimpleCell, {"activation_fn": jax.nn.relu}, "relu_rnn"),
}


def nnx_cell(kind, features=I, units=H, seed=0, **options):
    """A cell of nnx's whose first weights cost nothing to draw."""
    return kind(features, units, rngs=nnx.Rngs(seed), **QUICK, **options)


def drawn(tree):
    """The same tree with random numbers, biases too."""
    random = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: random.uniform(-0.8, 0.8, leaf.shape).astype(leaf.dtype), tree)


def parameters(module, features=I, dtype=jnp.float32):
    shapes = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros((B, T, features), dtype))
    return drawn(shapes)["params"]


def given(*shape, dtype=torch.float32):
    x = torch.randn(*shape, dtype=dtype)
    return x, jnp.asarray(x.numpy())


def carried(layer, *, dtype=torch.float32):
    """Initial states for ours, and the carry for Flax: c before h."""
    shape = (1, B, H)
    h, c = torch.randn(shape, dtype=dtype), torch.randn(shape, dtype=dtype)
    if not layer.cell.has_cell_state:
        return h, jnp.asarray(h[0].numpy())
    return (h, c), (jnp.asarray(c[0].numpy()), jnp.asarray(h[0].numpy()))


def results(carry, output):
    states = reversed(carry) if isinstance(carry, tuple) else [carry]
    return [output, *(state[None] for state in states)]


def assert_same_tree(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for mine, theirs in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(("kind", "options", "cell"), LINEN.values(), ids=list(LINEN))
def test_linen(kind, options, cell):
    inside = kind(H, **options)
    module = linen.RNN(inside, return_carry=True)
    tree = parameters(module)
    ours = glasscell.from_flax({"params": tree}, inside if options else None)
    assert ours.cell == cells.named(cell)
    x, jax_x = given(B, T, I)
    hx, carry = carried(ours)
    theirs = results(*module.apply({"params": tree}, jax_x, initial_carry=carry))
    assert_agree(ran(ours, x, hx), theirs)
    assert_same_tree(glasscell.to_flax(ours, into=module), tree)
    assert_same_tree(glasscell.to_flax(ours, into=inside), tree["cell"])
    assert_same_layer(glasscell.from_flax(tree["cell"], cell), ours)


@pytest.mark.parametrize(("kind", "options", "cell"), LINEN.values(), ids=list(LINEN))
def test_ours_in_linen(kind, options, cell):
    ours = layer_of(cell, I, H, batch_first=True)
    module = linen.RNN(kind(H, **options), return_carry=True)
    tree = glasscell.to_flax(ours, into=module)
    x, jax_x = given(B, T, I)
    hx, carry = carried(ours)
    theirs = results(*module.apply({"params": tree}, jax_x, initial_carry=carry))
    assert_agree(ran(ours, x, hx), theirs)
    again = glasscell.from_flax(tree, module)
    assert_same_tree(glasscell.to_flax(again, into=module), tree)


@pytest.mark.parametrize(("kind", "options", "cell"), NNX.values(), ids=list(NNX))
def test_nnx(kind, options, cell):
    def made(seed):
        return nnx.RNN(nnx_cell(kind, seed=seed, **options), return_carry=True)

    module = made(0)
    nnx.update(module, drawn(nnx.to_pure_dict(nnx.state(module, nnx.Param))))
    ours = glasscell.from_flax(module)
    assert ours.cell == cells.named(cell)
    x, jax_x = given(B, T, I)
    hx, carry = carried(ours)
    expected = results(*module(jax_x, initial_carry=carry))
    assert_agree(ran(ours, x, hx), expected)
    assert_same_layer(glasscell.from_flax(nnx.state(module, nnx.Param), cell), ours)

    other = made(1)
    tree = glasscell.to_flax(ours, into=other)
    assert_same_tree(tree, nnx.to_pure_dict(nnx.state(module, nnx.Param)))
    for a, b in zip(results(*other(jax_x, initial_carry=carry)), expected, strict=True):
        np.testing.assert_array_equal(a, b)


def test_float64():
    with jax.enable_x64(True):
        module = linen.RNN(linen.GRUCell(H, param_dtype=jnp.float64), return_carry=True)
        tree = parameters(module, dtype=jnp.float64)
        ours = glasscell.from_flax(tree)
        assert ours.weight_ih_l0.dtype == torch.float64
        x, jax_x = given(B, T, I, dtype=torch.float64)
        hx, carry = carried(ours, dtype=torch.float64)
        theirs = results(*module.apply({"params": tree}, jax_x, initial_carry=carry))
        assert_agree(ran(ours, x, hx), theirs)


def test_stacks_and_both_directions():
    modules = [linen.Bidirectional(*(linen.RNN(linen.LSTMCell(H)) for _ in "ab")) for _ in "ab"]
    trees = [parameters(modules[0]), parameters(modules[1], 2 * H)]
    ours = glasscell.from_flax(trees)
    assert (ours.num_layers, ours.bidirectional) == (2, True)
    x, jax_x = given(B, T, I)
    for module, tree in zip(modules, trees, strict=True):
        jax_x = module.apply({"params": tree}, jax_x)
    assert_agree(ran(ours, x)[:1], [jax_x])
    assert_same_tree(glasscell.to_flax(ours), trees)
    assert_same_tree(glasscell.to_flax(ours, into=modules), trees)


def test_nnx_in_both_directions():
    parts = [nnx.RNN(nnx_cell(nnx.GRUCell, seed=k)) for k in range(2)]
    for cell in parts:
        nnx.update(cell, drawn(nnx.to_pure_dict(nnx.state(cell, nnx.Param))))
    parts[1].cell.dense_i.bias[...] = 0.5
    module = nnx.Bidirectional(*parts)
    x, jax_x = given(B, T, I)
    assert_agree(ran(glasscell.from_flax(module), x)[:1], [module(jax_x)])


def test_one_step():
    ours, kind = glasscell.LSTMCell(I, H), linen.LSTMCell(H)
    x, jax_x = given(B, I)
    (h, c), (c_0, h_0) = carried(ours)
    (new_c, new_h), _ = kind.apply({"params": glasscell.to_flax(ours)}, (c_0, h_0), jax_x)
    with torch.no_grad():
        assert_agree(flat(ours(x, (h[0], c[0]))), [new_h, new_c])


def test_a_layer_without_biases_has_zeros_in_flax():
    ours = layer_of("gru", I, H, bias=False)
    again = glasscell.from_flax(glasscell.to_flax(ours), batch_first=False)
    x = torch.randn(T, B, I)
    for a, b in zip(ran(again, x), ran(ours, x), strict=True):
        assert_same_bits(a, b)


def test_bfloat16_is_read_bit_for_bit():
    tree = jax.tree.map(
        lambda leaf: leaf.astype(jnp.bfloat16), glasscell.to_flax(layer_of("rnn", I, H))
    )
    ours = glasscell.from_flax(tree)
    assert ours.weight_ih_l0.dtype == torch.bfloat16
    np.testing.assert_array_equal(glasscell.to_flax(ours)["h"]["kernel"], tree["h"]["kernel"])


def test_a_gru_whose_second_bias_nnx_lacks_is_refused():
    ours, into = layer_of("gru", I, H), nnx_cell(nnx.GRUCell)
    with pytest.raises(InputError, match="no bias in what the reset gate multiplies"):
        glasscell.to_flax(ours, into=into)
    with torch.no_grad():
        ours.bias_hh_l0[2 * H :] = 0
    glasscell.to_flax(ours, into=into)
    x, jax_x = given(B, I)
    hx, carry = carried(ours)
    assert_agree(ran(ours, x[None], hx)[1:], [into(carry, jax_x)[0][None]])


def changed(tree, name, dense):
    return {**tree, name: dense}


LSTM_TREE = glasscell.to_flax(glasscell.LSTM(I, H))
GRU_TREE = glasscell.to_flax(glasscell.GRU(I, H))
KERNEL = {"kernel": np.zeros((I, H), np.float32)}
BAD_TREES = {
    "more": (changed(LSTM_TREE, "ip", KERNEL), "got .*ip"),
    "fewer": ({k: v for k, v in LSTM_TREE.items() if k != "ho"}, "expected the dense layers ii if"),
    "minimal gated unit": (
        linen.MGUCell(H).init(jax.random.key(0), jnp.zeros((B, H)), jnp.zeros((B, I)))["params"],
        "got .*hf.*",
    ),
    "a bias more": (
        changed(LSTM_TREE, "ii", {**KERNEL, "bias": np.zeros(H, np.float32)}),
        "ii: expected kernel, got bias kernel",
    ),
    "a bias fewer": (
        changed(GRU_TREE, "in", KERNEL),
        "in: expected bias and kernel, got kernel",
    ),
    "another shape": (
        changed(LSTM_TREE, "ig", {"kernel": np.zeros((I + 1, H + 1), np.float32)}),
        r"ig: kernel: expected \(I, 6\), got \(6, 7\)",
    ),
    "whole numbers": (changed(LSTM_TREE, "ii", {"kernel": np.zeros((I, H), int)}), "got int64"),
    "other collections": ({"params": LSTM_TREE, "batch_stats": {}}, "expected the dense layers"),
    "other dense": (
        {"dense_i": KERNEL, "dense_h": {"kernel": np.zeros((H, 2 * H), np.float32)}},
        r"dense_h: expected a kernel \(H, 4H\), \(H, 3H\) or \(H, H\), got \(6, 12\)",
    ),
    "no tree": (np.zeros(3), "expected a tree of parameters, got ndarray"),
    "nothing": ([], "got none"),
    "two kinds": ([LSTM_TREE, glasscell.to_flax(glasscell.GRU(H, H))], "parameters of one lstm"),
    "two sizes": ([LSTM_TREE, LSTM_TREE], "are alike"),
}


@pytest.mark.parametrize(("tree", "why"), BAD_TREES.values(), ids=list(BAD_TREES))
def test_trees_that_do_not_fit_are_refused(tree, why):
    with pytest.raises(InputError, match=why):
        glasscell.from_flax(tree)


def test_modules_that_do_not_fit_are_refused():
    rngs = nnx.Rngs(0)
    bad = {
        "gate_fn: expected JAX's": nnx_cell(nnx.LSTMCell, gate_fn=lambda v: v),
        "activation_fn: expected JAX's": nnx_cell(nnx.GRUCell, activation_fn=jax.nn.gelu),
        "residual: expected False": nnx_cell(nnx.SimpleCell, residual=True),
        "reverse: expected False": nnx.RNN(nnx_cell(nnx.GRUCell), reverse=True),
        "expected Flax's LSTMCell.*Linear": nnx.RNN(nnx.Linear(I, H, rngs=rngs)),
        "a linen module does not hold its parameters": linen.LSTMCell(H),
        "merge_fn": nnx.Bidirectional(
            *(nnx.RNN(nnx_cell(nnx.GRUCell)) for _ in "ab"), merge_fn=jnp.add
        ),
    }
    for why, module in bad.items():
        with pytest.raises(InputError, match=why):
            glasscell.from_flax(module)
    with pytest.raises(InputError, match="an nnx module says it itself"):
        glasscell.from_flax(nnx_cell(nnx.LSTMCell), "lstm")
    with pytest.raises(InputError, match="parameters of one gru"):
        glasscell.from_flax(LSTM_TREE, "gru")
    with pytest.raises(InputError, match="cell: Flax has no peephole"):
        glasscell.from_flax(LSTM_TREE, "peephole")


@pytest.mark.parametrize(
    ("into", "why"),
    [
        (lambda: linen.GRUCell(H), 'expected what computes cell="lstm", got one of cell="gru"'),
        (lambda: linen.LSTMCell(H, gate_fn=jax.nn.hard_sigmoid), "expected what computes"),
        (lambda: [linen.LSTMCell(H)] * 2, r"expected 1 layer\(s\) of 1 direction\(s\), got 1, 1"),
        (
            lambda: nnx_cell(nnx.LSTMCell, I + 1),
            r"expected a kernel \(5, 6\), got \(6, 6\)",
        ),
        (lambda: nnx_cell(nnx.LSTMCell, I, H + 1), r"expected a kernel \(5, 6\)"),
        (lambda: linen.LSTMCell(H + 1), "features: expected 6, got 7"),
        (lambda: "linen", "expected a module of flax"),
    ],
)
def test_a_module_that_computes_something_else_is_refused(into, why):
    with pytest.raises(InputError, match=why):
        glasscell.to_flax(layer_of("lstm", I, H), into=into())


@pytest.mark.parametrize(
    ("cell", "why"),
    [
        ("peephole", "Flax has no peephole"),
        ("gru_reset_before", "Flax has no reset gate that acts before"),
        ("no_output_activation", "one activation_fn for the candidate and the cell state"),
        ("hard_lstm", "parameters do not say gate_fn=jax.nn.hard_sigmoid"),
        ("min_lstm", "Flax has no"),
    ],
)
def test_variants_that_flax_lacks_are_refused(cell, why):
    with pytest.raises(InputError, match=why):
        glasscell.to_flax(layer_of(cell, I, H))
