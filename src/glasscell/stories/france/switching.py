"""How few units carry the country: their values are taken from the same sentence told elsewhere."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.stories.france.patching import patched
from glasscell.stories.france.reading import Trained, read
from glasscell.tasks.france import COUNTRIES, ID, Country, Sentence, WordModel
from glasscell.tasks.france.language import EATING, NOUNS

ENOUGH = 0.99  # of the nouns in sentences of the training that must turn before the search ends
MOST = 16  # units that it may take


@dataclass(frozen=True)
class Outcome:
    """What an edit did to sentences' foods and drinks, at the places where they are due.

    Attributes:
        turned: the share of all places where the likeliest word became the target's.
        first, second: the same of each sentence's first noun, and of its second.
        both: the share of sentences in which all nouns turned.
        margin: by how much the target's noun became likelier than any other word, in nats; no
            more than 1 a place counts either way, so that no sentence pays for another.
    """

    turned: float
    first: float
    second: float
    both: float
    margin: float


@dataclass(frozen=True)
class Step:
    """One step of the search: the unit added, and the share turned with all units so far."""

    unit: int
    turned: float


@dataclass(frozen=True)
class Switch:
    """The units that carry the country, whichever it is.

    Attributes:
        found: the search on training sentences, unit by unit.
        units: those found, without any that turned out not to be needed.
        result: what these units do on held-out sentences, from any country to any other.
        alone: the unit that does most alone, of all units, and what it does there.
        at_random: the mean share that as many units turn, if drawn at random.
        sentences: how many held-out sentences that is of.
        searched: how many training sentences the search went by.
    """

    found: tuple[Step, ...]
    units: tuple[int, ...]
    result: Outcome
    alone: tuple[int, Outcome]
    at_random: float
    sentences: int
    searched: int


@dataclass(frozen=True, eq=False)
class Pair:
    """Sentences, and the same told in other countries; all with the verb at one step.

    Attributes:
        words: ids (T, B), as they are.
        cell: (T, B, H), as they are told elsewhere.
        step: of the verb: the edit begins there.
        wanted: (2, B) ids of the nouns of the other country.
        places: (2, B) steps of the nouns; the second is -1 where there is none.
    """

    words: Tensor
    cell: Tensor
    step: int
    wanted: Tensor
    places: Tensor


def pairs(
    model: WordModel, sentences: Sequence[Sentence], targets: Sequence[Country]
) -> list[Pair]:
    """Each sentence beside itself as told elsewhere, in groups with the verb at one step."""
    groups: dict[int, list[tuple[Sentence, Sentence]]] = {}
    for sentence, target in zip(sentences, targets, strict=True):
        both = sentence, sentence.told_in(target)
        groups.setdefault(sentence.words.index(sentence.verb), []).append(both)
    return [_pair(model, step, group) for step, group in groups.items()]


def _pair(model: WordModel, step: int, group: list[tuple[Sentence, Sentence]]) -> Pair:
    here, there = ([each[k].words for each in group] for k in (0, 1))
    return Pair(
        words=read(model, here).words,
        cell=read(model, there).layer["cell"],
        step=step,
        wanted=torch.tensor([_nouns(other) for _, other in group]).T,
        places=torch.tensor([_places(sentence) for sentence, _ in group]).T,
    )


def others(sentences: Sequence[Sentence], seed: int = 0) -> list[Country]:
    """For each sentence a country that it is not about."""
    chooser = random.Random(seed)
    return [chooser.choice([c for c in COUNTRIES if c != s.country]) for s in sentences]


def _places(sentence: Sentence) -> tuple[int, int]:
    found = [t for t, word in enumerate(sentence.words) if word in NOUNS]
    return found[0], found[1] if len(found) > 1 else -1


def _nouns(sentence: Sentence) -> tuple[int, int]:
    food, drink = ID[sentence.country.food], ID[sentence.country.drink]
    return (food, drink) if sentence.verb in EATING else (drink, food)


def outcome(model: WordModel, pairs: Sequence[Pair], units: Sequence[int]) -> Outcome:
    """What comes of giving the units the values that they have in the target country."""
    turned, margins, there = [], [], []
    for pair in pairs:
        log_p = patched(model, pair.words, units, pair.step, pair.cell)
        due = log_p[pair.places - 1, torch.arange(pair.words.shape[1])]  # (2, B, V)
        wanted = due.gather(-1, pair.wanted[..., None])
        rest = due.scatter(-1, pair.wanted[..., None], -torch.inf).amax(-1, keepdim=True)
        turned.append(due.argmax(-1) == pair.wanted)
        margins.append((wanted - rest).squeeze(-1).clamp(-1, 1))
        there.append(pair.places > 0)
    hit, real = torch.cat(turned, -1), torch.cat(there, -1)  # (2, B)
    return Outcome(
        turned=_share(hit[real]),
        first=_share(hit[0]),
        second=_share(hit[1][real[1]]),
        both=_share((hit | ~real).all(0)),
        margin=float(torch.cat(margins, -1)[real].double().mean()),
    )


def _share(hits: Tensor) -> float:
    return float(hits.double().mean())


def search(
    model: WordModel, pairs: Sequence[Pair], enough: float = ENOUGH, most: int = MOST
) -> tuple[Step, ...]:
    """Units one after the other, each time the one that helps most, until enough of all nouns turn.

    A greedy search: a smaller set may exist. `pruned` takes out what later units made needless.

    Args:
        pairs: of sentences that training saw.
        enough: the share of nouns that must turn.
        most: units at which it gives up.
    """
    H = model.lstm.hidden_size
    found: list[Step] = []
    while len(found) < most and (not found or found[-1].turned < enough):
        units = [step.unit for step in found]
        rest = [unit for unit in range(H) if unit not in units]
        results = {unit: outcome(model, pairs, [*units, unit]) for unit in rest}
        best = max(rest, key=lambda unit: results[unit].margin)
        found.append(Step(best, results[best].turned))
    return tuple(found)


def pruned(
    model: WordModel, pairs: Sequence[Pair], units: Sequence[int], enough: float = ENOUGH
) -> tuple[int, ...]:
    """The units without those that can go, one by one, with enough nouns still turning."""
    kept = list(units)
    for unit in units:
        rest = [each for each in kept if each != unit]
        if rest and outcome(model, pairs, rest).turned >= enough:
            kept = rest
    return tuple(kept)


def switch(trained: Trained, *, learn_on: int = 300, test_on: int = 500) -> Switch:
    """Finds the units that carry the country, and tries them on held-out sentences.

    Args:
        trained: the model and its sentences.
        learn_on: sentences of the training to search on.
        test_on: held-out ones to try on.
    """
    model = trained.model
    seen, unseen = trained.task.sentences[:learn_on], trained.held_out(test_on)
    learn, test = (pairs(model, each, others(each)) for each in (seen, unseen))
    found = search(model, learn)
    units = pruned(model, learn, [step.unit for step in found])
    H = model.lstm.hidden_size
    single = {unit: outcome(model, test, [unit]) for unit in range(H)}
    best = max(single, key=lambda unit: single[unit].turned)
    generator = torch.Generator().manual_seed(trained.seed)
    draws = [torch.randperm(H, generator=generator)[: len(units)].tolist() for _ in range(20)]
    return Switch(
        found=found,
        units=units,
        result=outcome(model, test, units),
        alone=(best, single[best]),
        at_random=sum(outcome(model, test, draw).turned for draw in draws) / len(draws),
        sentences=len(unseen),
        searched=len(seen),
    )
