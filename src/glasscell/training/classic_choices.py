"""What can be chosen for a run on a classic task, and what config.json says of it."""

from __future__ import annotations

from typing import Any

from glasscell.cells import spec
from glasscell.errors import InputError, UserError
from glasscell.nn.lines import OPEN, LayerLine
from glasscell.tasks.models import LARGEST
from glasscell.training.generated_recipe import GeneratedRecipe
from glasscell.training.recipe import LONGEST

STEPS = 4000  # where neither steps nor minutes are given
LARGEST_SEED = 2**31 - 1
MODEL = {"cell": "lstm", "hidden": 32, "layers": 1, "forget_bias": None, "chrono": None}


def model_choices(choices: dict[str, Any]) -> dict[str, Any]:
    """What config.json says of the model: the cell by its name or line, and how it begins.

    Raises:
        UserError: no such cell, or one that cannot be written down.
    """
    given = choices["cell"]
    try:
        line = LayerLine.of(given, forget_bias=choices["forget_bias"], chrono=choices["chrono"])
        text = given if isinstance(given, str) else spec.write(line.cell)
    except ValueError as error:
        raise UserError(str(error)) from None
    for name in ("hidden", "layers"):
        if choices[name] > LARGEST:
            raise UserError(f"{name}: expected at most {LARGEST}, got {choices[name]}")
    if line.opened is not line:
        choices["forget_bias"] = OPEN
    return {**choices, "cell": text}


def recipe_of(training: dict[str, Any]) -> tuple[GeneratedRecipe, float | None]:
    """The recipe of config.json, and the most seconds.

    Raises:
        UserError: a value that cannot be.
    """
    training = dict(training)
    minutes, steps = training.pop("minutes"), training.pop("steps")
    if minutes is not None and not 0 < minutes <= LONGEST:
        raise UserError(f"minutes: expected more than 0, at most {LONGEST:.0e}, got {minutes}")
    if steps is not None and steps > LONGEST:
        raise UserError(f"steps: expected at most {LONGEST:.0e}, got {steps}")
    if not 0 <= training["seed"] <= LARGEST_SEED:
        raise UserError(f"seed: expected from 0 to {LARGEST_SEED}, got {training['seed']}")
    try:
        recipe = GeneratedRecipe(steps=LONGEST if steps is None else steps, **training)
    except InputError as error:
        raise UserError(str(error)) from None
    return recipe, None if minutes is None else 60 * minutes
