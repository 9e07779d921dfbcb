"""What "but" makes the model forget: forget gates, and what a changed word leaves behind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from glasscell.stories.france.reading import Trained, read
from glasscell.tasks.france import COUNTRIES, ID, Sentence, Subject, WordModel
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
    """How far apart two runs stay that differ in one thing said at the beginning.

    Attributes:
        joint: of the sentences.
        changed: "country", or "first person": one of the other gender.
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
    def left(self) -> float:
        """Which part of the distance before the joint is there at the end."""
        return self.distances[-1] / self.distances[0]


def joint_gates(trained: Trained, count: int = 1000, top: int = 5) -> Gates:
    """Compares the forget gates at "but" and at "because", over held-out sentences."""
    seen = read(trained.model, [sentence.words for sentence in trained.held_out(count)])
    f = seen.layer["forget_gate"]  # (T, B, H)
    at = {joint: f[seen.words == ID[joint]].mean(0) for joint in JOINTS}
    drop = at["because"] - at["but"]
    return Gates(at, drop.argsort(descending=True)[:top].tolist())


def trails(trained: Trained, count: int = 1000) -> list[Trail]:
    """Follows a changed country and a changed first person past each joint.

    Args:
        trained: the model and its sentences.
        count: held-out sentences to choose from: those with one person in each clause that end
            in "did not like".
    """
    found = []
    for joint in JOINTS:
        sentences = [s for s in trained.held_out(count) if _is_plain(s, joint)]
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
    other: Sequence[Sentence],
) -> Trail:
    one, two = (read(model, [s.words for s in each]).layer["cell"] for each in (sentences, other))
    distance = (one - two).double().norm(dim=-1).mean(1)  # (T,)
    step = sentences[0].words.index(joint)
    who = "she or he" if joint == "because" else "new name"
    words = ("noun", joint, who, "did", "not")[: 2 + STEPS_AROUND]
    places = distance[step - 1 : step - 1 + len(words)]
    return Trail(joint, changed, tuple(places.tolist()), words, len(sentences))


def _elsewhere(sentence: Sentence) -> Sentence:
    after = (COUNTRIES.index(sentence.country) + 1) % len(COUNTRIES)
    return sentence.told_in(COUNTRIES[after])


def _another(sentence: Sentence) -> Sentence:
    """The same about a person of the other gender."""
    (name,) = sentence.first.names
    here, there = (WOMEN, MEN) if name in WOMEN else (MEN, WOMEN)
    first = Subject((there[here.index(name)],))
    # Who is named after "but" may not have been named before.
    if sentence.joint == "but" and sentence.second == first:
        first = Subject((there[(here.index(name) + 1) % len(there)],))
    return replace(
        sentence, first=first, second=sentence.second if sentence.joint == "but" else first
    )
