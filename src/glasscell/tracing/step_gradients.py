"""dL/d(each state and gate) at every step of a traced layer, and along which way it came."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from glasscell.engines import StepGradients
from glasscell.errors import InputError

if TYPE_CHECKING:
    from glasscell.tracing.layer import LayerTrace


@dataclass(frozen=True)
class TraceGradients:
    """A layer's gradients, read by the name of what they are of: `layer.grad.cell`.

    Each is dL/d(that) along all paths, through every later step too: what a small change of it
    would do to the loss. Where several backwards ran, it is their sum. Shapes are those of the
    quantity. A quantity that was edited is meant as it is after the edit.

    The gradient of the state that carries the memory, an LSTM's cell or a GRU's hidden state, has
    two parts, which sum to it:

        dL/dc_t  =  f_{t+1} * dL/dc_{t+1}  +  the rest
                    `carried`                `through_gates`

    `carried` came along the state: the constant error carousel (Hochreiter and Schmidhuber 1997),
    shut only by the forget gate. `through_gates` came through h_t, which is what the loss and the
    gates of the next step see, and in a GRU through its gates. With zoneout of the cell, f_{t+1}
    is what stays of it in all, and dL/dc counts c as it is held and as it is shown.
    """

    layer: "LayerTrace"
    found: StepGradients

    def tokens(self, quantity: str) -> Tensor:
        """(N, H) dL/d(a quantity) at the real steps only, as packed tokens."""
        if quantity not in self.layer.quantities:
            known = ", ".join((*self.layer.quantities, "carried", "through_gates"))
            raise InputError(f"quantity: expected one of {known}; got {quantity!r}")
        return self.found.of(quantity, self.layer.definition).to(self.layer.record.h.dtype)

    @property
    def carried(self) -> Tensor:
        """(T, B, H) the part of dL/d(state) that came along the state from the step after; zeros
        at the last step of each sequence.
        """
        return self.layer.layout.padded(self._carried())

    @property
    def through_gates(self) -> Tensor:
        """(T, B, H) the rest of dL/d(state): what came through h_t, and through gates."""
        state = self.layer.definition.state
        return self.layer.layout.padded(self.tokens(state) - self._carried())

    def _carried(self) -> Tensor:
        layer = self.layer
        carry = layer.carry()
        if carry is None:
            raise InputError(
                f"{layer.name}: {layer.why_no_carry}, so no part of a gradient is known to be "
                "carried along it; dL/dstate is whole in grad"
            )
        keep, _ = carry
        kept = (keep * self.tokens(layer.definition.state)).detach()  # (N, H)
        nothing = kept.new_zeros(layer.layout.packing.B, kept.shape[-1])
        return layer.layout.packing.previous(kept, nothing, not layer.reverse)

    def __getitem__(self, quantity: str) -> Tensor:
        if quantity in ("carried", "through_gates"):
            return getattr(self, quantity)
        return self.layer.layout.padded(self.tokens(quantity))

    def __getattr__(self, name: str) -> Tensor:
        if name.startswith("__") or "found" not in self.__dict__:  # copied, not whole yet
            raise AttributeError(name)
        if name not in self.layer.quantities:
            known = ", ".join((*self.layer.quantities, "carried", "through_gates"))
            raise AttributeError(f"{name!r}; gradients are those of {known}")
        return self[name]

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.layer.quantities]


def joined_gradients(calls: list[StepGradients | None]) -> StepGradients | None:
    """Those of the steps of one sequence batch, one after the other; zeros for steps that no
    backward has come to, None if it has come to none.
    """
    some = next((call for call in calls if call is not None), None)
    if some is None:
        return None

    def column(name: str) -> Tensor | None:
        like = getattr(some, name)
        if like is None:
            return None
        parts = [None if each is None else getattr(each, name) for each in calls]
        return torch.cat([torch.zeros_like(like) if part is None else part for part in parts])

    return StepGradients(column("h"), column("c"), column("gates"))  # type: ignore[arg-type]
