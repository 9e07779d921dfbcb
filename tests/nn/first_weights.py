"""Weights to be given their first values, what is found in them, and which gate keeps what."""

import torch
from scipy import stats

from glasscell.cells import VARIANTS, Weights

KEEPS = {  # the gate that says what stays, and the sign of its bias where the state is to stay
    "no_forget_gate": None,
    "nfg": None,
    "coupled": ("input_gate", -1),
    "cifg": ("input_gate", -1),
    "gru": ("update_gate", 1),
    "gru_reset_before": ("update_gate", 1),
    "layer_norm_gru": ("update_gate", 1),
    "min_gru": ("update_gate", 1),
    "mut1": ("update_gate", -1),
    "mut2": ("update_gate", -1),
    "mut3": ("update_gate", -1),
    "rnn": None,
    "relu_rnn": None,
    "indrnn": None,
}
KEEPING = {name: keeps for name in VARIANTS if (keeps := KEEPS.get(name, ("forget_gate", 1)))}


def weights(cell, I=4, H=4, P=None, bias=True, dtype=torch.float32, fill=0.5):
    """Weights of one layer, all of one number."""
    shapes = cell.shapes(I, H, P or H, bias)
    full = {k: torch.nn.Parameter(torch.full(s, fill, dtype=dtype)) for k, s in shapes.items()}
    return Weights(**full)


def bias_of(cell, w, name, H):
    """The sum of a gate's biases, found by what the gate reads."""
    total = torch.zeros(H, dtype=w.W.dtype)
    for b, reads in ((w.b_x, {"x"}), (w.b_h, {"h", "tanh_h"})):
        readers = [gate.name for gate in cell.gates if reads & set(gate.reads)]
        if b is not None and name in readers:
            total += b.detach()[readers.index(name) * H :][:H]
    return total


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def fits(numbers, distribution):
    """Kolmogorov-Smirnov, at one in a thousand."""
    assert stats.kstest(numbers.detach().flatten().double().numpy(), distribution).pvalue > 1e-3


def uniform(low, high):
    return stats.uniform(low, high - low).cdf
