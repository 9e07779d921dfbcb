"""Layer normalisation (Ba et al. 2016, "Layer Normalization"), and the way back through it.

    norm(v) = (v - mean(v)) / sqrt(variance(v) + 1e-5)     over the numbers of one sequence

A normalised cell's terms are a_x * norm(W x_t) + b_x and a_h * norm(U h_{t-1}) + b_h, some gates
together. The gains a_x and a_h are the two rows of `Weights.a`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from glasscell.cells.cell import added
from glasscell.cells.gates import Weights

EPSILON = 1e-5


def normalised(v: Tensor) -> Tensor:
    """norm(v) over the last dimension."""
    return F.layer_norm(v, v.shape[-1:], eps=EPSILON)


def normalised_backward(dnorm: Tensor, v: Tensor) -> Tensor:
    """dL/dv from dL/dnorm(v), over the last dimension."""
    wide = torch.promote_types(v.dtype, torch.float32)  # as `F.layer_norm` does it within
    v_wide, d = v.to(wide), dnorm.to(wide)
    centred = v_wide - v_wide.mean(-1, keepdim=True)
    scale = (centred.square().mean(-1, keepdim=True) + EPSILON).rsqrt()
    norm = centred * scale
    along = (d * norm).mean(-1, keepdim=True)
    return (scale * (d - d.mean(-1, keepdim=True) - along * norm)).to(v.dtype)


def _blocks(v: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """(B, size*H) each, of (B, G*H): the gates that are normalised together."""
    H = v.shape[-1] // sum(sizes)
    return v.split([size * H for size in sizes], -1)


def normalised_terms(
    x: Tensor, h: Tensor, w: Weights, sizes: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """a_x * norm(W x_t) + b_x and a_h * norm(U h_{t-1}) + b_h, (B, G*H) each, normalised within
    each of the blocks of `sizes` gates.
    """
    assert w.a is not None
    terms = []
    for v, gain, bias in (
        (F.linear(x, w.W), w.a[0], w.b_x),
        (F.linear(h, w.U), w.a[1], w.b_h),
    ):
        term = gain * torch.cat([normalised(block) for block in _blocks(v, sizes)], -1)
        terms.append(added(term, bias))
    return terms[0], terms[1]


def normalised_terms_backward(
    dx: Tensor, dh: Tensor, x: Tensor, h: Tensor, w: Weights, sizes: tuple[int, ...]
) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """dL/d(W x_t) and dL/d(U h_{t-1}), and dL/d(gains and biases) by their letters, from dL/d(each
    term) dx and dh; (B, G, H) each.
    """
    assert w.a is not None
    products, da, db = [], [], []
    for d, v, gain in ((dx, F.linear(x, w.W), w.a[0]), (dh, F.linear(h, w.U), w.a[1])):
        d = d.flatten(-2)
        blocks = _blocks(v, sizes)
        da.append((d * torch.cat([normalised(block) for block in blocks], -1)).sum(0))
        db.append(d.sum(0))
        pairs = zip(_blocks(gain * d, sizes), blocks, strict=True)
        dv = torch.cat([normalised_backward(dnorm, block) for dnorm, block in pairs], -1)
        products.append(dv.unflatten(-1, (sum(sizes), -1)))
    return products[0], products[1], {"a": torch.stack(da), "b_x": db[0], "b_h": db[1]}
