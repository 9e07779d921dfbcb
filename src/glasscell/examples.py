"""The guided examples by name, and where each is told: a function without required arguments.

Plain data, so that a command can list them before anything is imported. Those in `stories/` train
models, and so live far above whoever looks them up here.
"""

from importlib import import_module
from typing import Any

EXAMPLES = {
    "forget-layer": "glasscell.explaining.forget_layer:forget_layer",
    "turnstile": "glasscell.stories.turnstile:turnstile",
    "france": "glasscell.stories.france:france",
    "vanishing": "glasscell.stories.vanishing:vanishing",
}


def tell_example(name: str) -> Any:
    """The example of a name that is there: a `glasscell.explaining.Explanation`."""
    module, _, function = EXAMPLES[name].partition(":")
    return getattr(import_module(module), function)()
