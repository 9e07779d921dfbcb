"""What the cell states know of the hidden features, unit by unit and all together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from glasscell import analysis
from glasscell.stories.france.reading import Trained, read
from glasscell.tasks.france import COUNTRIES, UNKNOWN, Sentence, features
from glasscell.tracing import LayerTrace


@dataclass(frozen=True)
class Known:
    """How well one feature can be told from the cell state.

    Attributes:
        feature: "in France", "a man", "two people".
        unit: the one that tells it best alone.
        alone: its AUC, turned so that 0.5 is chance and 1 perfect.
        direction: the AUC of all units together, along one direction, on sentences that the
            direction was not fitted on.
    """

    feature: str
    unit: int
    alone: float
    direction: float


@dataclass(frozen=True)
class Around:
    """How well a feature can be told just before "but", and once the next person is named."""

    before: Known
    after: Known


def known(trained: Trained, count: int = 1000) -> list[Known]:
    """Tells each country, the gender and the number from the cell states.

    Over held-out sentences, at the steps where the words so far tell the feature; the countries
    first, in the order of `COUNTRIES`.
    """
    sentences = trained.held_out(count)
    layer = _layer(trained, sentences)
    told = features(sentences)
    questions = [(f"in {each.name}", "country", k) for k, each in enumerate(COUNTRIES)]
    questions += [("a man", "gender", 1), ("two people", "number", 1)]
    return [
        _known(name, layer, told[feature] == value, told[feature] != UNKNOWN)
        for name, feature, value in questions
    ]


def country_auc(found: Sequence[Known]) -> float:
    """The mean of the countries' AUCs, each against all others, along directions."""
    countries = found[: len(COUNTRIES)]
    return sum(each.direction for each in countries) / len(countries)


def around_but(trained: Trained, count: int = 2000) -> list[Around]:
    """What can be told before and after "but": that it is about France, and that the first person
    is a man. Over held-out sentences with one person in each clause.
    """
    sentences = [
        s
        for s in trained.held_out(count)
        if s.joint == "but" and s.second is not None and len(s.first.names + s.second.names) == 2
    ]
    layer = _layer(trained, sentences)
    told = features(sentences)
    but = sentences[0].words.index("but")
    found = []
    for name, feature, value in (("in France", "country", 0), ("first a man", "first_gender", 1)):
        on = told[feature] == value  # (T, B)
        before, after = (_known(name, layer, on, _only(step, on)) for step in (but - 1, but + 1))
        found.append(Around(before, after))
    return found


def _layer(trained: Trained, sentences: Sequence[Sentence]) -> LayerTrace:
    return read(trained.model, [sentence.words for sentence in sentences]).layer


def _only(step: int, like: Tensor) -> Tensor:
    mask = like.new_zeros(like.shape)  # booleans
    mask[step] = True
    return mask


def _known(name: str, layer: LayerTrace, on: Tensor, counts: Tensor) -> Known:
    found = analysis.find_units(layer, on, "cell", mask=counts, chance=None)
    best = found.best(1)[0]
    assert found.probe is not None
    return Known(name, best.unit, max(best.score, 1 - best.score), found.probe.score)
