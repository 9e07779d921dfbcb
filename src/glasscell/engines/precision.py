"""The precision in which a call is run: that of its tensors, or what autocast asks for."""

import torch

from glasscell.engines.call import Call


def dtype_of_run(call: Call) -> torch.dtype:
    """The dtype of the whole run, and so of its results."""
    device = call.x.device.type
    if torch.is_autocast_enabled(device):
        return dtype_under(torch.get_autocast_dtype(device), call)
    x, w = call.x.dtype, call.weights.W.dtype
    return x if x == w else torch.promote_types(x, w)


def dtype_under(autocast: torch.dtype | None, call: Call) -> torch.dtype:
    """The same, given autocast's precision, or None where it is off.

    PyTorch's own rule: autocast's precision, except that it leaves float64 as it is, and on the
    CPU a GRU's state, and with it the results, in the precision they came in.
    """
    own = torch.promote_types(call.x.dtype, call.weights.W.dtype)
    if autocast is None or own == torch.float64:
        return own
    if call.x.device.type == "cpu" and call.cell.kind == "gru":
        return torch.promote_types(call.x.dtype, autocast)
    return autocast


def in_one_dtype(call: Call) -> Call:
    """The same call with every tensor in the dtype of the run."""
    dtype = dtype_of_run(call)
    for tensor in call.tensors():
        if tensor is not None and tensor.dtype != dtype:
            return call.to(dtype)
    return call
