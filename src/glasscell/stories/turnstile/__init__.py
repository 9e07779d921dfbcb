"""The turnstile: a network with weights set by hand, and what others learn in its place."""

from glasscell.explaining import Explanation
from glasscell.stories.turnstile import telling, visiting
from glasscell.stories.turnstile.counters import LENGTHS, Counter, counters
from glasscell.stories.waiting import waiting

__all__ = ["Counter", "counters", "turnstile"]


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
        found = counters(seed, hidden, steps)
    return Explanation(
        "The turnstile: counting two coins",
        [
            *visiting.by_hand(found[0].model),
            *telling.learned(found, hidden, seed),
            *telling.counting(found),
            *telling.longer(found, LENGTHS),
        ],
    )
