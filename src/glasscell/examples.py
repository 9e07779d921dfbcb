"""The guided examples by name, and where each is told: a function without required arguments.

Plain data, so that a command can list them before anything is imported. Those in `stories/` train
models, and so live far above whoever looks them up here.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from glasscell.errors import InputError

EXAMPLES = {
    "forget-layer": "glasscell.explaining.forget_layer:forget_layer",
    "turnstile": "glasscell.stories.turnstile:turnstile",
    "france": "glasscell.stories.france:france",
    "vanishing": "glasscell.stories.vanishing:vanishing",
}


def tell_example(name: str) -> Any:
    """The example of a name that is there: a `glasscell.explaining.Explanation`.

    Raises:
        InputError: it has figures, and what draws them is not installed.
    """
    module, _, function = EXAMPLES[name].partition(":")
    if ".stories." in module and find_spec("plotly") is None:  # before anything is trained
        raise InputError(
            f"example: {name} has figures, which need plotly: pip install 'glasscell[train]'"
        )
    return getattr(import_module(module), function)()
