"""Which engine a layer would take, and why: `glasscell.explain_engine`."""

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from glasscell.engines import Choice
from glasscell.nn import arguments
from glasscell.nn.recurrent import Lengths, Recurrent


def explain_engine(
    layer: Recurrent,
    input: Tensor | PackedSequence,
    hx: Tensor | tuple[Tensor, Tensor] | None = None,
    *,
    lengths: Lengths = None,
) -> Choice:
    """Which engine runs this layer on this input, and why: `print(glasscell.explain_engine(...))`.

    Takes what the layer itself takes and computes nothing. Where an engine was asked for by
    name, it says whether that one can run.

    Raises:
        TypeError: layer is not one of Glasscell's.
        InputError: an input the layer would refuse.

    Example:
        >>> glasscell.explain_engine(lstm, x).refusals["reference"] is None  # it runs everything
        True
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(arguments.not_a_layer("layer", layer))
    return layer.explain_engine(input, hx, lengths=lengths)
