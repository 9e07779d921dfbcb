"""Whether a call runs under a function transform that only plain tensor operations support."""

import torch
from torch import Tensor
from torch.autograd.forward_ad import unpack_dual


def active_transform(tensors: tuple[Tensor | None, ...]) -> str | None:
    """The transform these tensors are under, by name; None outside of any."""
    if torch._C._functorch.peek_interpreter_stack() is not None:  # type: ignore[attr-defined]
        return "a torch.func transform (vmap, grad, jacrev, jvp, ...)"
    if torch._C._is_fwd_grad_enabled() and torch.autograd.forward_ad._current_level >= 0:
        duals = (unpack_dual(tensor).tangent for tensor in tensors if tensor is not None)
        if any(tangent is not None for tangent in duals):
            return "forward-mode differentiation"
    return None


def compiled_under_transform() -> bool:
    """Whether a compiler is tracing a torch.func transform, asked in a form it understands."""
    interpreter = torch._C._functorch.peek_interpreter_stack()  # type: ignore[attr-defined]
    return isinstance(interpreter, torch._C._functorch.CInterpreter)  # type: ignore[attr-defined]
