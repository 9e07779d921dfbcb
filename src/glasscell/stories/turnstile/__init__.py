"""The turnstile: a network with weights set by hand, and what others learn in its place."""

from collections.abc import Sequence

from glasscell.explaining import Explanation
from glasscell.stories.turnstile import telling, visiting
from glasscell.stories.turnstile.counters import Counter, counters
from glasscell.stories.waiting import waiting

__all__ = ["Counter", "counters", "tell", "turnstile"]


def turnstile(seed: int = 0, hidden: int = 8, steps: int = 3000) -> Explanation:
    """A network of two units counts coins and opens; then others learn the same, and are compared.

    Args:
        seed: of the weights and sequences of those that learn.
        hidden: their units.
        steps: the most updates of each.

    Returns:
        The story. It takes a few seconds.
    """
    with waiting() as say:
        say("training three networks")
        return tell(counters(seed, hidden, steps))


def tell(found: Sequence[Counter]) -> Explanation:
    """The story of networks that have been measured already, the one set by hand first."""
    return Explanation(
        "The turnstile: counting two coins",
        [
            *visiting.by_hand(found[0].model),
            *telling.learned(found),
            *telling.counting(found),
            *telling.longer(found),
        ],
    )
