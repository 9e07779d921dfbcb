"""The sentences that judge: each is chosen by what was measured, and holds its numbers."""

from __future__ import annotations

from glasscell.explaining import percent
from glasscell.stories.france.forgetting import Gates, Trail
from glasscell.stories.france.knowing import Around, Known, country_auc
from glasscell.tasks.france import COUNTRIES

CLEAR = 0.98  # an AUC from which on a feature is told
FAR = 0.5  # a trail that keeps less than this has mostly been forgotten


def who_knows(found: list[Known], units: int) -> str:
    """Whether features have units of their own.

    Args:
        found: the countries first, in the order of `COUNTRIES`.
        units: H.
    """
    best = max(each.alone for each in found[: len(COUNTRIES)])
    mean = country_auc(found)
    if best > CLEAR:
        says = (
            f"At least one country has a unit of its own (AUC {best:.3f}); all {units} together "
            f"tell the six with {mean:.4f} on average."
        )
    elif mean > CLEAR:
        says = (
            f"The country is spread out: one unit alone tells a country with an AUC of at most "
            f"{best:.3f}, and all {units} together do with {mean:.4f}, the mean of the six."
        )
    else:
        says = (
            f"The country is not told for certain, neither by one unit (an AUC of at most "
            f"{best:.3f}) nor by all {units} together ({mean:.4f}, the mean of the six)."
        )
    for each in found[len(COUNTRIES) :]:
        if each.alone > CLEAR:
            says += f" Unit {each.unit} alone tells “{each.feature}” with {each.alone:.3f}."
    return says


def what_shuts(gates: Gates, found: list[Known]) -> str:
    """The unit whose forget gate shuts most at "but", and what it knows."""
    unit = gates.units[0]
    because, but = (float(gates.at[joint][unit]) for joint in ("because", "but"))
    if but >= because:
        return "No unit keeps less at `but`."
    knows = [f"“{each.feature}”" for each in found if each.unit == unit]
    same = f" It is the unit that tells {' and '.join(knows)} best." if knows else ""
    return (
        f"Unit {unit} shuts most: at `because` it keeps {percent(because)} of what it holds, at "
        f"`but` {percent(but)}.{same}"
    )


def what_goes(person: Trail, stays: Trail, country: Trail) -> str:
    """What "but" does to the trail of the first person, beside "because" and the country.

    Args:
        person, stays: of a changed first person, over "but" and over "because".
        country: of a changed country, over "but".
    """
    at = [each.parts[1] for each in (person, stays, country)]
    says = (
        f"Over `but` and the words to “{person.words[-1]}” the first name's trail goes from "
        f"{_course(person)}, over `because` from {_course(stays)}. The country's goes over `but` "
        f"from {_course(country)}. At the joint itself, {percent(at[0])} of the first name's trail "
        f"stays with `but`, {percent(at[1])} with `because`. "
    )
    if person.left >= min(1, stays.left, country.left):
        return says + "So `but` does not single out the first person."
    if person.left >= FAR:
        return says + (
            "So `but` weakens the person more than `because` does, and more than the country; but "
            "most of it is still there: nothing punishes this model for remembering."
        )
    if country.left < FAR:
        return says + "So most of the person goes over `but`, and most of the country as well."
    if stays.left < FAR:
        return says + (
            "So over `but` most of the person goes and the country stays, as the grammar allows; "
            f"but over `because` most of the person goes as well, where {stays.words[2]} tells the "
            "gender once more."
        )
    return says + "So `but` lets the person go and keeps the country, as the grammar allows."


def _course(trail: Trail) -> str:
    first, last = trail.distances[0], trail.distances[-1]
    return f"{first:.2f} to {last:.2f} ({percent(trail.left)} of it)"


def what_is_left(person: Around, country: Around, trail: Trail) -> str:
    """How well the first person can be told before "but", and once the next one is named.

    Args:
        person, country: what can be told of each.
        trail: of a changed first person, over "but".
    """
    before, after = person.before, person.after
    says = (
        f"Before `but` the best single unit tells “{before.feature}” with an AUC of "
        f"{before.alone:.3f} (unit {before.unit}); once the next person is named, the best does "
        f"with {after.alone:.3f} (unit {after.unit}). For “{country.before.feature}” these are "
        f"{country.before.alone:.3f} and {country.after.alone:.3f}. "
    )
    if after.direction <= CLEAR:
        return says + (
            f"All units together tell it with {before.direction:.3f} before and "
            f"{after.direction:.3f} after."
        )
    says += f"All units together still tell the first person's gender with {after.direction:.3f}: "
    named = trail.parts[2]
    if named < FAR:
        return says + (
            f"{percent(named)} of the trail is left by then, and an AUC asks only which of two "
            "values is larger, not by how much. What has shrunk is not gone."
        )
    return says + "it is not gone."
