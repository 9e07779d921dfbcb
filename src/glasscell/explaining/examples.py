"""Examples that need nothing but themselves, by name."""

from collections.abc import Callable
from importlib import import_module

from glasscell.explaining.document import Explanation
from glasscell.explaining.forget_layer import forget_layer


def _story(name: str) -> Callable[[], Explanation]:
    """A guided example. It trains models, so it lives far above this room, and is looked up only
    when it is asked for.
    """

    def tell() -> Explanation:
        return getattr(import_module(f"glasscell.stories.{name}"), name)()

    return tell


EXAMPLES: dict[str, Callable[[], Explanation]] = {
    "forget-layer": forget_layer,
    "turnstile": _story("turnstile"),
    "france": _story("france"),
    "vanishing": _story("vanishing"),
}
