"""A small language in which everything worth remembering is known: its words, grammar, features.

    In France , Mary ate her croissant but Frank did not like the wine .
    In Japan , Emma and Paul sipped their sake because they liked the sushi .

The country decides the food and the drink, however far they are away. The subject decides between
her, his and their. "because" goes on with the same people (she, he, they); "but" brings new ones,
after which nothing depends on the first ones any more: a reader may forget them, and must not
forget the country.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import NamedTuple


class Country(NamedTuple):
    """A country, and what one eats and drinks there."""

    name: str
    food: str
    drink: str


COUNTRIES = (
    Country("France", "croissant", "wine"),
    Country("Italy", "pizza", "espresso"),
    Country("Japan", "sushi", "sake"),
    Country("Mexico", "taco", "mezcal"),
    Country("Germany", "pretzel", "beer"),
    Country("Spain", "paella", "sangria"),
)
WOMEN = ("Mary", "Anna", "Emma", "Julia", "Laura", "Sarah", "Nina", "Clara")
MEN = ("Frank", "John", "Peter", "Paul", "David", "Tom", "Max", "Simon")
EATING = ("ate", "tasted")
DRINKING = ("drank", "sipped")
POSSESSIVES = ("her", "his", "their")
PRONOUNS = ("she", "he", "they")

END = "."  # also what a padded batch is filled with
VOCABULARY = (
    END,
    "In",
    ",",
    *(country.name for country in COUNTRIES),
    *WOMEN,
    *MEN,
    "and",
    *EATING,
    *DRINKING,
    *POSSESSIVES,
    *(country.food for country in COUNTRIES),
    *(country.drink for country in COUNTRIES),
    "but",
    "because",
    *PRONOUNS,
    "liked",
    "did",
    "not",
    "like",
    "the",
)
ID = {word: k for k, word in enumerate(VOCABULARY)}
NOUNS = frozenset(country.food for country in COUNTRIES) | {c.drink for c in COUNTRIES}

TWO_PEOPLE = 0.3  # how often a subject is two people
ENDINGS = {"but": 0.5, "because": 0.3, END: 0.2}  # how the first clause goes on
UNKNOWN = -1  # a feature that the words so far do not tell, or that does not apply
FEATURES = ("country", "gender", "number", "first_gender")


@dataclass(frozen=True)
class Subject:
    """One or two people."""

    names: tuple[str, ...]

    @property
    def kind(self) -> int:
        """0 a woman, 1 a man, 2 two people: the place of her, his, their."""
        return 2 if len(self.names) == 2 else int(self.names[0] in MEN)


class _Known(NamedTuple):
    """A word, and the features once it is read."""

    word: str
    country: int = UNKNOWN
    gender: int = UNKNOWN
    number: int = UNKNOWN
    first_gender: int = UNKNOWN

    def then(self, word: str) -> _Known:
        """Another word, after which no more is known."""
        return self._replace(word=word)


def _introduced(who: Subject, known: _Known) -> Iterator[_Known]:
    """The words that name somebody."""
    yield known._replace(word=who.names[0], gender=int(who.names[0] in MEN), number=0)
    for name in who.names[1:]:
        two = known._replace(word="and", gender=UNKNOWN, number=1)
        yield from (two, two.then(name))


@dataclass(frozen=True)
class Sentence:
    """A sentence's parts, from which follow its words and what is hidden in each of them.

    Attributes:
        country: where.
        first: who, in the first clause.
        verb: eats or drinks.
        joint: "but", "because", or END for a sentence of one clause.
        second: who, in the second clause; `first` itself after "because".
        likes: whether they liked it.
        own: whether the second clause says "her wine" and not "the wine".
    """

    country: Country
    first: Subject
    verb: str
    joint: str = END
    second: Subject | None = None
    likes: bool = True
    own: bool = False

    @property
    def combination(self) -> tuple[str, tuple[str, ...], str]:
        """What a sentence is held out by: its country, its first people, its verb."""
        return self.country.name, self.first.names, self.verb

    @property
    def words(self) -> list[str]:
        """Its words, the comma and the full stop among them."""
        return [each.word for each in self._told()]

    @property
    def features(self) -> dict[str, list[int]]:
        """What is known after each word, as one number a word.

        country: its place in COUNTRIES. gender: of the person who is spoken of, 0 a woman, 1 a
        man; number: how many are spoken of, 0 one, 1 two. first_gender: of the person that the
        first clause is about, from there to the sentence's end. UNKNOWN where the words so far do
        not tell, and for the gender of two people.
        """
        told = list(self._told())
        return {name: [getattr(each, name) for each in told] for name in FEATURES}

    def _told(self) -> Iterator[_Known]:
        country, eats = self.country, self.verb in EATING
        nouns = (country.food, country.drink) if eats else (country.drink, country.food)
        yield _Known("In")
        where = _Known(country.name, COUNTRIES.index(country))
        yield from (where, where.then(","))
        for known in _introduced(self.first, where):
            # Whose gender the first clause is about, until a second person is named in it.
            first = known._replace(first_gender=known.gender)
            yield first
        for word in (self.verb, POSSESSIVES[self.first.kind], nouns[0]):
            yield first.then(word)
        if self.joint == END:
            yield first.then(END)
            return
        who, now = self.second or self.first, first
        if self.joint == "because":
            yield from (first.then("because"), first.then(PRONOUNS[who.kind]))
        else:
            strangers = first._replace(gender=UNKNOWN, number=UNKNOWN)
            yield strangers.then("but")
            for now in _introduced(who, strangers):
                yield now
        for word in ["liked"] if self.likes else ["did", "not", "like"]:
            yield now.then(word)
        for word in (POSSESSIVES[who.kind] if self.own else "the", nouns[1], END):
            yield now.then(word)

    def told_in(self, country: Country) -> Sentence:
        """The same sentence, about another country."""
        return replace(self, country=country)


EXAMPLE = Sentence(COUNTRIES[0], Subject(("Mary",)), "ate", "but", Subject(("Frank",)), likes=False)


class Language:
    """Sentences drawn at random, and a part of the combinations that training never sees.

    Args:
        seed: of which combinations are held out.
        held_out: the share of the combinations of country, first people and verb that are held
            out. Those of the guided example are among them.
    """

    def __init__(self, seed: int = 0, held_out: float = 0.2) -> None:
        singles = [(name,) for name in WOMEN + MEN]
        pairs = [pair for pair in product(WOMEN + MEN, repeat=2) if pair[0] != pair[1]]
        everything = [
            (country.name, names, verb)
            for country in COUNTRIES
            for names in singles + pairs
            for verb in EATING + DRINKING
        ]
        chooser = random.Random(seed)
        held = {each for each in everything if chooser.random() < held_out}
        held |= {EXAMPLE.told_in(country).combination for country in COUNTRIES}
        self.held_out = frozenset(held)

    def sentences(self, count: int, seed: int, *, held_out: bool = False) -> list[Sentence]:
        """So many sentences: only held-out combinations, or only the others."""
        chooser = random.Random(seed)
        found: list[Sentence] = []
        while len(found) < count:
            sentence = _drawn(chooser)
            if (sentence.combination in self.held_out) == held_out:
                found.append(sentence)
        return found


def _drawn(chooser: random.Random) -> Sentence:
    first = _people(chooser)
    joint = chooser.choices(tuple(ENDINGS), tuple(ENDINGS.values()))[0]
    return Sentence(
        country=chooser.choice(COUNTRIES),
        first=first,
        verb=chooser.choice(EATING + DRINKING),
        joint=joint,
        second={"but": _people(chooser, but=first.names), "because": first}.get(joint),
        likes=chooser.random() < 0.5,
        own=chooser.random() < 0.5,
    )


def _people(chooser: random.Random, but: Sequence[str] = ()) -> Subject:
    """One or two people who have not been named yet."""
    number = 2 if chooser.random() < TWO_PEOPLE else 1
    return Subject(tuple(chooser.sample([n for n in WOMEN + MEN if n not in but], number)))


def words_of(text: str) -> list[str]:
    """The words of a sentence as people write it: "In France, Mary ate her croissant." """
    return text.replace(",", " ,").replace(".", " .").split()


def written(words: Sequence[str]) -> str:
    """Words as people write them: no space before a comma or a full stop."""
    return " ".join(words).replace(" ,", ",").replace(" .", ".")
