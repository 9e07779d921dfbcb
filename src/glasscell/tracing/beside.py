"""The gradients of every step of a black box: its twin follows the backward beside it.

The module's outputs pass through a node that changes nothing, forward or backward. In a backward
that node sees what the loss puts on them, and sends it through a twin that read the same input.
What the loss puts on a trace of the module itself does not come there.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from glasscell.engines import GradientRecord
from glasscell.engines.transforms import active_transform
from glasscell.tracing.black_box import replayed_randomness
from glasscell.tracing.twins import run_twin, twin_of


def followed(
    module: nn.RNNBase, input: Any, hx: Any, output: Any, random_state: Tensor | None
) -> tuple[Any, list[GradientRecord]]:
    """The module's output, and where a backward through it will leave each layer's gradients."""
    found: list[GradientRecord] = []
    if not torch.is_grad_enabled() or active_transform(tuple(_tensors(output))):
        D = 2 if module.bidirectional else 1
        return output, [GradientRecord() for _ in range(module.num_layers * D)]
    twin = twin_of(module)
    twin.register_record_hook(  # type: ignore[union-attr]
        lambda _, records: found.extend(
            each.call.gradients or GradientRecord() for each in records
        ),
        gradients=True,
    )
    leaf = (input.data if isinstance(input, PackedSequence) else input).detach().requires_grad_()
    read = input._replace(data=leaf) if isinstance(input, PackedSequence) else leaf
    states = hx if hx is None else _mapped(hx, lambda t: t.detach())
    with replayed_randomness(random_state):
        again = run_twin(twin, module, read, states)
    shown = iter(_Beside.apply(leaf, _tensors(again), *_tensors(output)))
    return _mapped(output, lambda _: next(shown)), found


class _Beside(torch.autograd.Function):
    @staticmethod
    def forward(ctx, leaf: Tensor, again: list[Tensor], *outputs: Tensor):
        ctx.leaf, ctx.again = leaf, again
        ctx.set_materialize_grads(False)
        # copies: views of one node may not be written into, and the module's outputs may
        return tuple(t.clone() for t in outputs)

    @staticmethod
    def backward(ctx, *grads):
        reached = [(t, g) for t, g in zip(ctx.again, grads, strict=True) if g is not None]
        outputs, ds = [t for t, _ in reached], [g.detach() for _, g in reached]
        torch.autograd.grad(outputs, [ctx.leaf], ds, retain_graph=True)
        return None, None, *grads


def _tensors(output: Any) -> list[Tensor]:
    """The floating-point tensors of a module's output, in order."""
    found: list[Tensor] = []
    _mapped(output, lambda t: found.append(t) or t)
    return found


def _mapped(output: Any, change: Any) -> Any:
    """The output with each of its floating-point tensors changed."""
    if isinstance(output, PackedSequence):
        return output._replace(data=change(output.data))
    if isinstance(output, (tuple, list)):
        return tuple(_mapped(each, change) for each in output)
    return change(output)
