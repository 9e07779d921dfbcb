"""What was found in the model, as prose, tables and figures: every number is from the run, and
chooses what is said.
"""

from __future__ import annotations

from glasscell import plots
from glasscell.explaining import Check, Code, Heading, Piece, Prose, Table, literal, percent
from glasscell.stories.drawing import figure
from glasscell.stories.france.forgetting import Gates, Trail
from glasscell.stories.france.knowing import Around, Known, country_auc
from glasscell.stories.france.moving import Edited
from glasscell.stories.france.reading import Read, Trained
from glasscell.stories.france.switching import ENOUGH, Switch
from glasscell.tasks.france import COUNTRIES, EXAMPLE

FAR = 0.5  # a trail that keeps less than this has mostly been forgotten


def what_is_known(found: list[Known], seen: Read, tokens: list[str]) -> list[Piece]:
    gender = next(each for each in found if each.feature == "a man")
    alone = [each.alone for each in found[: len(COUNTRIES)]]
    mean = country_auc(found)
    clear = [each for each in found[len(COUNTRIES) :] if each.alone > 0.98]
    says = (
        f"The country is spread out: no unit alone tells one with an AUC above {max(alone):.2f}, "
        f"and all {seen.layer.hidden_size} together do with {mean:.4f}, the mean of the six. "
        if max(alone) < 0.98
        else f"At least one country has a unit of its own (AUC {max(alone):.2f}); all together "
        f"tell the six with {mean:.4f} on average. "
    )
    for each in clear:
        says += f"Unit {each.unit} alone tells “{each.feature}” with {each.alone:.3f}. "
    return [
        Heading("Which unit knows what"),
        Prose(
            "Take all words at which a feature can be known, and ask each unit's cell state: does "
            "a step where the feature holds have the larger value? The share of pairs of steps "
            "where it does is the AUC: 0.5 is chance, 1 is perfect. The last column asks all units "
            "together, along one straight direction, on sentences it was not fitted on."
        ),
        Table(
            ["feature", "best unit", "its AUC alone", "AUC of a direction"],
            [
                [each.feature, each.unit, f"{each.alone:.3f}", f"{each.direction:.4f}"]
                for each in found
            ],
            align="lrrr",
        ),
        Prose(says.strip()),
        figure(
            plots.unit_strips,
            seen.layer,
            gender.unit,
            tokens=tokens,
            caption=f"Unit {gender.unit}, which tells a man from a woman best, over the example.",
            alt="Strips of this unit's gates, cell state and hidden state over the sentence.",
        ),
    ]


def what_but_does(
    gates: Gates, trails: list[Trail], around: list[Around], found: list[Known]
) -> list[Piece]:
    by = {(trail.joint, trail.changed): trail for trail in trails}
    person, stays = by["but", "first person"], by["because", "first person"]
    country = by["but", "country"]
    of_country, of_person = around
    f = gates.at
    shut = gates.units[0]
    knows = [f"“{each.feature}”" for each in found if each.unit == shut]
    same = f" It is the unit that tells {' and '.join(knows)} best." if knows else ""
    return [
        Heading("What “but” makes it forget"),
        Prose(
            "After `but` somebody else comes, after `because` the same people go on. Compare the "
            "forget gates at the two words, over all held-out sentences. Unit "
            f"{shut} differs most: at `because` it keeps {percent(float(f['because'][shut]))} of "
            f"what it holds, at `but` {percent(float(f['but'][shut]))}.{same}"
        ),
        Table(
            ["unit", "$f$ at `but`", "$f$ at `because`"],
            [
                [u, f"{float(f['but'][u]):.3f}", f"{float(f['because'][u]):.3f}"]
                for u in gates.units
            ],
            align="rrr",
        ),
        Prose(
            "What is lost with it? Tell each sentence twice, the second time with one word "
            "changed: another country, or a first person of the other gender. The distance "
            "between the two runs' cell states is what the word has left behind."
        ),
        figure(
            plots.courses,
            {f"{t.changed} changed, … {t.joint} …": t.distances for t in trails},
            ("noun", "but / because", "name / she, he", "did", "not"),
            across="word",
            up="distance of cell states",
            caption="How far apart two tellings stay that differ in one word.",
            alt="Four lines over five words: "
            + "; ".join(
                f"{t.changed} changed with {t.joint}, from {t.distances[0]:.2f} to "
                f"{t.distances[-1]:.2f}"
                for t in trails
            ),
        ),
        Prose(_verdict(person, stays, country)),
        Prose(_erased(of_person, of_country)),
    ]


def _verdict(person: Trail, stays: Trail, country: Trail) -> str:
    says = (
        f"Over `but` and the words to “{person.words[-1]}” the first person's trail goes from "
        f"{person.distances[0]:.2f} to {person.distances[-1]:.2f} ({percent(person.left)} of it), "
        f"over `because` from {stays.distances[0]:.2f} to {stays.distances[-1]:.2f} "
        f"({percent(stays.left)}). The country's goes from {country.distances[0]:.2f} to "
        f"{country.distances[-1]:.2f} ({percent(country.left)}). "
    )
    if person.left < FAR <= min(stays.left, country.left):
        return says + "So `but` lets the person go and keeps the country, as the grammar allows."
    if person.left < min(stays.left, country.left):
        return says + (
            "So `but` weakens the person and spares the country, though this model has not "
            "learned to let go of most of it: nothing punishes it for remembering."
        )
    return says + "So this model has not learned to forget the person at `but`."


def _erased(person: Around, country: Around) -> str:
    before, after = person.before, person.after
    says = (
        f"The best single unit tells “{before.feature}” with an AUC of {before.alone:.3f} before "
        f"`but` and {after.alone:.3f} once the next person is named (“{country.before.feature}”: "
        f"{country.before.alone:.3f} and {country.after.alone:.3f}). "
    )
    if after.direction > 0.98:
        return says + (
            f"All units together still tell it with {after.direction:.3f}: a forget gate shrinks "
            "what a unit holds, and a straight line through all of them can read even a small "
            "rest. What is small hardly moves the output, but it is not gone."
        )
    return says + (
        f"All units together tell it with {before.direction:.3f} before and "
        f"{after.direction:.3f} after."
    )


def the_switch(switch: Switch, edited: Edited, trained: Trained) -> list[Piece]:
    result, (single, alone) = switch.result, switch.alone
    reached = switch.found[-1].turned >= ENOUGH
    k = len(switch.units)
    names = ", ".join(map(str, switch.units))
    first, last = EXAMPLE.country, COUNTRIES[1]
    pieces: list[Piece] = [
        Heading("From France to Italy, by hand"),
        Prose(
            "If some units carry the country, then giving them the values that they have in the "
            "same sentence about Italy should move it there. Which units? Begin with none, add "
            "the one that helps most, and go on: a search on 300 training sentences, each moved "
            "to another country from the verb on."
        ),
        Table(
            ["units so far", "added", "foods and drinks turned"],
            [[n, f"unit {s.unit}", percent(s.turned)] for n, s in enumerate(switch.found, 1)],
            align="rlr",
        ),
    ]
    if not reached:
        pieces.append(
            Prose(
                f"The search gave up at {len(switch.found)} units: this model has not learned the "
                "language well enough, or it keeps the country everywhere."
            )
        )
    pieces += [
        Prose(
            f"**{k} of {trained.model.lstm.hidden_size} units** ({names}) remain once those that "
            f"later ones made needless are taken out. On {switch.sentences} held-out sentences, "
            f"moved from any country to any other, {percent(result.turned)} of the foods and "
            f"drinks turn: "
            f"{percent(result.first)} of the first, {percent(result.second)} of the second, which "
            f"comes after `but` or `because`. The best single unit ({single}) turns "
            f"{percent(alone.turned)}, and {k} units drawn at random {percent(switch.at_random)}."
        ),
        Prose(
            f"The example, told in {first.name}, with these units' cell states from its telling "
            f"in {last.name}, from `ate` on:"
        ),
    ]
    for place, words in zip(("After “her”", "After “the”"), edited.nouns, strict=True):
        pieces.append(
            Table(
                [place, "as it is", "edited"],
                [[literal(word), f"{p:.1%}", f"{q:.1%}"] for word, p, q in words],
                align="lrr",
            )
        )
    pieces += [
        Prose(f"With the likeliest words put in: {literal(edited.text)}"),
        Check(
            f"{percent(result.turned)} of held-out foods and drinks turn: more than 90 %",
            holds=result.turned > 0.9,
        ),
        Prose("Do it yourself:"),
        Code(_CODE.format(units=list(switch.units), seed=trained.seed, source=first, target=last)),
    ]
    return pieces


_CODE = """\
import glasscell
from glasscell.stories.france import trained
from glasscell.tasks.france import VOCABULARY, encoded_words, words_of

model = trained(seed={seed}).model
here = encoded_words([words_of("In {source.name}, Mary ate her {source.food}.")]).inputs
there = encoded_words([words_of("In {target.name}, Mary ate her {target.food}.")]).inputs
with glasscell.trace(model) as other:
    model(there)
with glasscell.edit(model, "lstm.l0", "cell", units={units}, steps=slice(4, None),
                    set=other["lstm.l0"].cell):
    logits = model(here)
print(VOCABULARY[logits[5, 0].argmax()])  # after "her"
"""
