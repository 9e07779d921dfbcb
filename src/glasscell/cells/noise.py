"""What chance does to a step: stochastic gates, zoneout, and dropout of the recurrence.

A stochastic gate's value is drawn, and what its squash gives are the odds. With u uniform in
(0, 1), neither end included:

    Bernoulli        g' = 1 if u < g else 0              dL/dg = dL/dg'  (straight through)
    Gumbel-sigmoid   g' = sigmoid((v + log u - log(1 - u)) / temperature)

Zoneout (Krueger et al. 2017, section 3.2) keeps some units' state as it was: s_t = k * s_{t-1} +
(1 - k) * s'_t, where k is 1 for them; outside training it is the rate, the expectation. The hidden
state shows the cell state before that: what is held is held for the next step. Variational
dropout of the recurrence (Gal and Ghahramani 2016) has the products with h_{t-1}, and nothing
else, read m * h_{t-1}, with one mask m for all steps of a sequence.

All of this comes before edits, which have the last word.
"""

from collections.abc import Mapping

from torch import Tensor

from glasscell.cells.gates import GateMap


class StepNoise:
    """The noise of one step, for B sequences. With N rows it is that of many steps.

    Args:
        draws: for each gate that is drawn, by its public name, uniform numbers (B, H) in (0, 1).
        stays: for "cell" and "hidden", how much stays as it was: (B, H), or one number.
        mask: (B, P) what products read of h_{t-1}.
    """

    def __init__(
        self,
        draws: Mapping[str, Tensor] | None = None,
        stays: Mapping[str, Tensor | float] | None = None,
        mask: Tensor | None = None,
    ) -> None:
        self.draws = draws or {}
        self.stays = stays or {}
        self.mask = mask

    def gate(self, gate: GateMap, v: Tensor) -> Tensor:
        """(B, H) the gate's value from what goes into its squash."""
        u = self.draws.get(gate.name)
        if u is None:
            return gate.squash.apply(v)
        if gate.stochastic == "gumbel":
            u = u.to(v.dtype)
            return ((v + u.log() - (-u).log1p()) / gate.temperature).sigmoid()
        odds = gate.squash.apply(v)
        # exactly 0 or 1, with the gradient of the odds
        return (u < odds).to(v.dtype) + (odds - odds.detach())

    def slope(self, gate: GateMap, v: Tensor, own: Tensor) -> Tensor:
        """(B, H) d(the gate's value)/dv, where `own` is that value."""
        if gate.name not in self.draws:
            return gate.squash.slope(own)
        if gate.stochastic == "gumbel":
            return own * (1 - own) / gate.temperature
        return gate.squash.slope(gate.squash.apply(v))

    def held(self, state: str, new: Tensor, old: Tensor) -> Tensor:
        """(B, H) a state after zoneout."""
        if state not in self.stays:
            return new
        k = self.stays[state]
        return k * old + (1 - k) * new

    def held_backward(self, state: str, d: Tensor) -> tuple[Tensor, Tensor | None]:
        """dL/d(the new state), and dL/d(the old one) along this path, from dL/d(what came out)."""
        if state not in self.stays:
            return d, None
        k = self.stays[state]
        return (1 - k) * d, k * d

    def read(self, h: Tensor) -> Tensor:
        """(B, P) what products read of h_{t-1}; and, from its gradient, that of h_{t-1}."""
        return h if self.mask is None else h * self.mask


NOISELESS = StepNoise()
