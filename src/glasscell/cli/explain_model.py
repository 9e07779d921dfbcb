"""The explanation of a step that a trained model takes in a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from glasscell.cli.reading import token_text
from glasscell.errors import InputError, UserError
from glasscell.explaining import Explanation, Prose, joined, literal
from glasscell.explaining.observed import observed
from glasscell.explaining.step import explain_step
from glasscell.tasks.language.vocabulary import as_bytes

if TYPE_CHECKING:
    from glasscell.explaining.moment import Moment
    from glasscell.training import LanguageRun

BEFORE = 40  # tokens of the text that are quoted before a step


def explain_model(
    model: LanguageRun,
    text: str,
    steps: Sequence[int],
    layer: str | None,
    units: Sequence[int] | None,
) -> Explanation:
    """Steps of one layer of a language model that reads a text from a fresh state.

    Raises:
        UserError: no text, characters the model has never seen, or no such step, layer or unit.
    """
    if not text:
        raise UserError("the text is empty: there is nothing to explain")
    vocabulary = model.vocabulary
    ids = vocabulary.encode(as_bytes(text) if vocabulary.reads_bytes else text).long()
    network = model.model.eval()
    try:
        moments = observed(network, (ids.to(network.device)[:, None],), layer, steps, 0)
        told = [_explained(model, moment, ids.tolist(), units) for moment in moments]
    except InputError as error:
        raise UserError(str(error)) from None
    if len(told) == 1:
        return told[0]
    return joined(f"{len(told)} steps of `{moments[0].name}`", told)


def _explained(
    model: LanguageRun, moment: Moment, ids: list[int], units: Sequence[int] | None
) -> Explanation:
    assert moment.t is not None
    token = model.vocabulary.token_name
    decoded = [token_text(model, v) for v in ids[: moment.t + 1]]
    reads_tokens = moment.name.endswith(".l0") or moment.name == "l0"
    label = literal(model.vocabulary.label(ids[moment.t]))
    inputs = (
        f"the embedding of the {token} “{label}”"
        if reads_tokens
        else (f"what the layer below showed at the {token} “{label}”")
    )
    step = explain_step(replace(moment, inputs=inputs), units)
    before = "".join(decoded[max(0, moment.t - BEFORE) : moment.t])
    quoted = literal("".join(c if c.isprintable() else " " for c in before))
    came = f"after “{quoted}”" if before else "with nothing before it"
    said = f"The {token} read at this step is “{label}”, {came}."
    return Explanation(step.title, [Prose(said), *step.pieces])
