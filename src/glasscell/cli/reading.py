"""A text that a model has read, with all that went on inside; and the report about it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glasscell.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

    from glasscell.tasks.language.vocabulary import Text
    from glasscell.tracing import Trace
    from glasscell.training import LanguageRun


@dataclass(frozen=True)
class Reading:
    """A text that a model has read, and what went on inside.

    Attributes:
        model: who read it.
        trace: the recurrent layers.
        ids: (T,) the tokens.
        logits: (T, V) scores of the next token after each.
        total: how many tokens the text has, of which T were read.
    """

    model: LanguageRun
    trace: Trace
    ids: Tensor
    logits: Tensor
    total: int

    @property
    def token(self) -> str:
        """What a token is called."""
        return self.model.vocabulary.token_name

    @property
    def bits_per_character(self) -> float | None:
        """Over all but the first token; None if there is no other."""
        from glasscell.analysis import predictions

        vocabulary, ids = self.model.vocabulary, self.ids.tolist()
        characters = len(vocabulary.decode(ids)) - len(vocabulary.decode(ids[:1]))
        if characters < 1:
            return None
        return float(predictions(self.logits, self.ids).surprise[1:].sum()) / characters


def read(model: LanguageRun, text: Text, *, limit: int = 5000) -> Reading:
    """Lets a model read a text, at most `limit` tokens of it, from a fresh state.

    Raises:
        UserError: the text is empty, or holds characters that the model has never seen.
    """
    import torch

    from glasscell.tracing import trace

    if not text:
        raise UserError("the text is empty: there is nothing to look into")
    ids = model.vocabulary.encode(text).long()
    network = model.model.eval()
    read_now = ids[:limit].to(network.device)
    with torch.no_grad(), trace(network) as recorded:
        logits, _ = network(read_now[:, None])  # (T, 1, V)
    return Reading(model, recorded, read_now.cpu(), logits[:, 0].cpu(), len(ids))


def write_report(path: Path, reading: Reading, *, title: str) -> None:
    """Writes the report about a reading, whole or not at all.

    Raises:
        WriteError: the file cannot be written.
    """
    from glasscell.analysis import predictions
    from glasscell.cli.reading_depth import flow_of, kicks_of
    from glasscell.files import write_file
    from glasscell.plots import language_report

    model = reading.model
    facts = {"Parameters": f"{sum(p.numel() for p in model.model.parameters()):,}"}
    if reading.token != "character" and reading.bits_per_character is not None:
        facts["Bits per character"] = f"{reading.bits_per_character:.2f}"
    page = language_report(
        reading.trace,
        reading.ids,
        reading.logits,
        [token_text(model, v) for v in range(len(model.vocabulary))],
        title=title,
        token=reading.token,
        facts=facts,
        kicks=kicks_of(reading),
        flow=flow_of(reading, predictions(reading.logits, reading.ids)),
    )
    write_file(path, page.encode("utf-8", "replace"))


def token_text(model: LanguageRun, v: int) -> str:
    """The text of one token; of a byte that is no character of its own, its number."""
    text = model.vocabulary.decode([v])
    return model.vocabulary.label(v) if "\ufffd" in text else text
