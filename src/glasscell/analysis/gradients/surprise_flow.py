"""How a model's surprise at each token reaches back to the states at every earlier token."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glasscell.analysis.gradients.batched_backward import norm
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace, Trace

AT_ONCE = 2**22  # numbers in the gates of the copies of one backward, over all layers


@dataclass(frozen=True, eq=False)
class LayerFlow:
    """What of each surprise arrives at each step of one layer: Euclidean norms over its units.

    Row s, column t of each (W, W) tensor is about the surprise at token s and the state after
    token t; 0 where t >= s, for what came later has no part in it. Norms in
    float64, of gradients in the model's own precision.

    Attributes:
        kind: "lstm", "gru" or "rnn".
        hidden: of dL_s/dh_t, along all paths.
        cell: of dL_s/dc_t; None for cells that have no cell state.
        carried: what came along the state, keep_{t+1} * dL_s/dstate_{t+1}: the constant error
            carousel. None for a simple RNN, which keeps nothing.
        through_gates: the rest of dL_s/dstate_t: through h_t, and the gates of the next step. As
            vectors the two sum to dL_s/dstate_t. None for a simple RNN.
    """

    kind: str
    hidden: Tensor
    cell: Tensor | None
    carried: Tensor | None
    through_gates: Tensor | None

    @property
    def state(self) -> Tensor:
        """(W, W) of the state that carries the memory: c in an LSTM, h elsewhere."""
        return self.hidden if self.cell is None else self.cell


@dataclass(frozen=True, eq=False)
class SurpriseFlow:
    """The gradients of every surprise in a window of text, by every state before it.

    Attributes:
        start: the place of the window's first token in the text.
        surprise: (W,) float64, L_s in bits; NaN for the first token, whose loss is on a state
            before the window.
        layers: by the name each has in a trace.
    """

    start: int
    surprise: Tensor
    layers: dict[str, LayerFlow]

    @property
    def steps(self) -> int:
        """W, how many tokens the window has."""
        return len(self.surprise)


def surprise_flow(
    model: nn.Module,
    ids: Tensor,
    read: Callable[[Tensor], Tensor] | None = None,
    *,
    start: int = 0,
) -> SurpriseFlow:
    """How the surprise at each token reaches back to every earlier token, layer by layer.

    L_s = -log2 p(token s | those before it) is what training would make smaller. |dL_s/dc_t| says
    how much of it depends, through everything that happened in between, on what layer's cells held
    after token t: how far back a correction would reach. The window is read once for each of its
    tokens, all side by side as one batch, with the loss of one token in each copy, so that one
    backward gives all pairs. In the model's own precision.

    Args:
        model: the model, of which all recurrent layers are looked at.
        ids: (W,) the tokens of the window, W >= 2.
        read: runs the model over tokens (t, M) from the state in which it comes to the window,
            and gives the scores (t, M, V) of the token after each. If absent, `model(tokens)`
            does; where that is a tuple, its first part.
        start: the place of the window in its text; only handed on.

    Raises:
        InputError: fewer than two tokens, scores of another shape, no recurrent layer, one that
            runs backwards (it has seen the tokens that it is to predict) or several times, or a
            loss that has no gradient.

    Example:
        >>> letters = torch.nn.Embedding(5, 3)
        >>> reader = torch.nn.ModuleList([letters, lstm, torch.nn.Linear(8, 5)])
        >>> def read(tokens):
        ...     return reader[2](lstm(letters(tokens))[0])
        >>> flow = analysis.surprise_flow(reader, torch.tensor([0, 1, 2, 3, 4, 0]), read)
        >>> flow.layers["1.l0"].cell.shape  # row s: the surprise at s; column t: the cells at t
        torch.Size([6, 6])
        >>> bool(flow.layers["1.l0"].cell[5, 4] > 0)
        True
    """
    if ids.dim() != 1 or len(ids) < 2:
        raise InputError(f"ids: expected (W,) with at least 2 tokens, got {tuple(ids.shape)}")
    W = len(ids)

    def plain(tokens: Tensor) -> Tensor:
        scores = model(tokens)
        return scores[0] if isinstance(scores, tuple) else scores

    surprise = torch.full((W,), math.nan, dtype=torch.float64)
    norms: dict[str, dict[str, Tensor]] = {}
    kinds: dict[str, str] = {}
    # Copy s needs the tokens before s alone; so copies go by length, and each part stays short.
    many, s = 1, 1
    while s < W:
        e = min(W, s + many)  # the copies of this part: losses at tokens s .. e - 1
        trace = _backward(model, read or plain, ids, s, e, surprise)
        for name, layer in trace.items():
            kinds[name] = layer.kind
            for quantity, values in _norms(layer).items():  # (e - 1, e - s): steps, copies
                whole = norms.setdefault(name, {}).setdefault(
                    quantity, torch.zeros(W, W, dtype=torch.float64)
                )
                whole[s:e, : e - 1] = values.T.cpu()
        width = sum(layer.hidden_size * len(layer.gate_maps) for _, layer in trace.items())
        many, s = max(1, min(32, AT_ONCE // (width * e))), e
    layers = {
        name: LayerFlow(
            kind=kinds[name],
            hidden=found["hidden"],
            cell=found.get("cell"),
            carried=found.get("carried"),
            through_gates=found.get("through_gates"),
        )
        for name, found in norms.items()
    }
    return SurpriseFlow(start, surprise, layers)


def _backward(
    model: nn.Module,
    read: Callable[[Tensor], Tensor],
    ids: Tensor,
    s: int,
    e: int,
    surprise: Tensor,
) -> Trace:
    """Reads copies of the tokens before e - 1, with the loss of token s + m in copy m."""
    copies = torch.arange(e - s, device=ids.device)
    tokens = ids[: e - 1, None].expand(-1, e - s)
    with torch.enable_grad(), Trace(model, gradients=True) as trace:
        scores = read(tokens)
        if scores.dim() != 3 or scores.shape[:2] != tokens.shape:
            raise InputError(
                f"read: expected scores ({e - 1}, {e - s}, V), got {tuple(scores.shape)}"
            )
        _check(trace)
        told = scores[copies + s - 1, copies]  # (M, V)
        losses = F.cross_entropy(told, ids[s:e].to(told.device), reduction="none") / math.log(2)
        if not losses.requires_grad:
            raise InputError(
                "model, read: expected a loss that has a gradient; what was read has none, as "
                "under torch.no_grad()"
            )
        # Asked for by name, the weights' gradients are handed out, not added to what they hold.
        weights = [w for w in model.parameters() if w.requires_grad]
        if weights:
            torch.autograd.grad(losses.sum(), weights, allow_unused=True)
        else:
            losses.sum().backward()
    surprise[s:e] = losses.detach().double().cpu()
    return trace


def _check(trace: Trace) -> None:
    names = [name for name, _ in trace.items()]
    if len(set(names)) < len(names):
        raise InputError("model: expected each layer to run once; one of them runs several times")
    backwards = [name for name, layer in trace.items() if layer.reverse]
    if backwards:
        raise InputError(
            f"model: expected layers that read forwards; {backwards[0]} has seen the tokens that "
            "it is to predict"
        )


def _norms(layer: LayerTrace) -> dict[str, Tensor]:
    """(steps, copies) of each quantity, over units; whatever the layer's layout."""

    def length(gradient: Tensor) -> Tensor:
        found = norm(gradient.double())
        return found.T if layer.layout.batch_first else found

    grad = layer.grad
    found = {"hidden": length(grad["hidden"])}
    if layer.definition.has_cell_state:
        found["cell"] = length(grad["cell"])
    if layer.carry() is not None:
        found["carried"] = length(grad["carried"])
        found["through_gates"] = length(grad["through_gates"])
    return found
