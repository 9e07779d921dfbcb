"""The precision in which a call is run: that of its tensors, or what autocast asks for."""

import torch

from glasscell.engines.call import Call


def dtype_of_run(call: Call) -> torch.dtype:
    """The dtype of the whole run, and so of its results.

    Under autocast PyTorch's own rule: autocast's precision, except that on the CPU it leaves a
    GRU's state, and with it the results, in the precision they came in.
    """
    device = call.x.device.type
    if not torch.is_autocast_enabled(device):
        return torch.promote_types(call.x.dtype, call.weights.W.dtype)
    autocast = torch.get_autocast_dtype(device)
    if device == "cpu" and call.cell.kind == "gru":
        return torch.promote_types(call.x.dtype, autocast)
    return autocast


def in_one_dtype(call: Call) -> Call:
    """The same call with every tensor in the dtype of the run."""
    dtype = dtype_of_run(call)
    tensors = (tensor for tensor in call.tensors() if tensor is not None)
    return call if all(tensor.dtype == dtype for tensor in tensors) else call.to(dtype)
