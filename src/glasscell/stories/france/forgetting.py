"""What "but" makes the model forget: forget gates, and what a changed word leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from glasscell.errors import InputError
from glasscell.stories.france.reading import Trained, read
from glasscell.tasks.france import COUNTRIES, ID, Sentence, WordModel
from glasscell.tasks.france.language import MEN, WOMEN

JOINTS = ("but", "because")
STEPS_AROUND = 3  # words after the joint that are followed


@dataclass(frozen=True, eq=False)
class Gates:
    """The forget gates at the two joints.

    Attributes:
        at: for each joint, (H,) the mean over held-out sentences, unit by unit.
        units: those that shut most at "but" compared with "because", most first.
    """

    at: dict[str, Tensor]
    units: list[int]


@dataclass(frozen=True)
class Trail:
    """How far apart two runs stay that differ in one word at the beginning, and in no other.

    Attributes:
        joint: of the sentences.
        changed: "country", or "first person": a name of the other gender.
        distances: the mean Euclidean distance between the two runs' cell states, after the word
            before the joint, after the joint, and after each of the words that follow.
        words: what these places are called.
        sentences: how many.
    """

    joint: str
    changed: str
    distances: tuple[float, ...]
    words: tuple[str, ...]
    sentences: int

    @property
    def parts(self) -> tuple[float, ...]:
        """Which part of the distance before the joint is there at each place; 1 at the first."""
        return tuple(distance / self.distances[0] for distance in self.distances)

    @property
    def left(self) -> float:
        """Which part of it is there at the end."""
        return self.parts[-1]


def joint_gates(trained: Trained, count: int = 1000, top: int = 5) -> Gates:
    """Compares the forget gates at "but" and at "because", over held-out sentences."""
    seen = read(trained.model, [sentence.words for sentence in trained.held_out(count)])
    f = seen.layer["forget_gate"]  # (T, B, H)
    at = {joint: f[seen.words == ID[joint]].mean(0) for joint in JOINTS}
    drop = at["because"] - at["but"]
    return Gates(at, drop.argsort(descending=True)[:top].tolist())


def trails(trained: Trained, count: int = 1000) -> list[Trail]:
    """Follows a changed country and a changed first person past each joint.

    Only that word is another; all that follow are the same, even if the sentence then contradicts
    itself ("In Italy, Mary ate her croissant"). So what still differs between the two runs is what
    the word itself has left behind.

    Args:
        trained: the model and its sentences.
        count: held-out sentences to choose from: those with one person in each clause that end
            in "did not like".

    Raises:
        InputError: none of them is like that.
    """
    found = []
    for joint in JOINTS:
        sentences = [s for s in trained.held_out(count) if _is_plain(s, joint)]
        if not sentences:
            raise InputError(
                f"count: expected enough held-out sentences to find one with {joint!r}, got {count}"
            )
        for changed, change in (("country", _elsewhere), ("first person", _another)):
            other = [change(sentence) for sentence in sentences]
            found.append(_trail(trained.model, joint, changed, sentences, other))
    return found


def _is_plain(sentence: Sentence, joint: str) -> bool:
    if sentence.joint != joint or sentence.likes or sentence.second is None:
        return False
    return len(sentence.first.names) == len(sentence.second.names) == 1


def _trail(
    model: WordModel,
    joint: str,
    changed: str,
    sentences: Sequence[Sentence],
    other: Sequence[list[str]],
) -> Trail:
    here = [sentence.words for sentence in sentences]
    one, two = (read(model, each).layer["cell"] for each in (here, other))
    distance = (one - two).double().norm(dim=-1).mean(1)  # (T,)
    step = here[0].index(joint)
    who = "she or he" if joint == "because" else "new name"
    words = ("noun", joint, who, "did", "not")[: 2 + STEPS_AROUND]
    places = distance[step - 1 : step - 1 + len(words)]
    return Trail(joint, changed, tuple(places.tolist()), words, len(sentences))


def _elsewhere(sentence: Sentence) -> list[str]:
    """Its words, with another country's name."""
    after = (COUNTRIES.index(sentence.country) + 1) % len(COUNTRIES)
    return _with(sentence, sentence.country.name, COUNTRIES[after].name)


def _another(sentence: Sentence) -> list[str]:
    """Its words, with the first name one of the other gender."""
    (name,) = sentence.first.names
    here, there = (WOMEN, MEN) if name in WOMEN else (MEN, WOMEN)
    other = there[here.index(name)]
    # Who is named after "but" may not have been named before.
    if sentence.second is not None and other in sentence.second.names:
        other = there[(here.index(name) + 1) % len(there)]
    return _with(sentence, name, other)


def _with(sentence: Sentence, word: str, other: str) -> list[str]:
    """A sentence's words, the first `word` among them replaced by another."""
    words = sentence.words
    words[words.index(word)] = other
    return words
