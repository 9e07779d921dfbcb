"""What was found in the model, as prose, tables and figures: every number is from the run, and
chooses what is said.
"""

from __future__ import annotations

from glasscell import plots
from glasscell.explaining import Check, Code, Heading, Piece, Prose, Table, literal, percent
from glasscell.stories.drawing import figure
from glasscell.stories.france import verdicts
from glasscell.stories.france.forgetting import Gates, Trail
from glasscell.stories.france.knowing import Around, Known
from glasscell.stories.france.moving import Edited
from glasscell.stories.france.reading import Read, Trained
from glasscell.stories.france.switching import ENOUGH, Switch
from glasscell.tasks.france import COUNTRIES, EXAMPLE


def what_is_known(found: list[Known], seen: Read, tokens: list[str]) -> list[Piece]:
    gender = next(each for each in found if each.feature == "a man")
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
        Prose(verdicts.who_knows(found, seen.layer.hidden_size)),
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
    return [
        Heading("What “but” makes it forget"),
        Prose(
            "After `but` somebody else comes, after `because` the same people go on. Compare the "
            "forget gates at the two words, over held-out sentences. "
            + verdicts.what_shuts(gates, found)
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
            "What is lost with it? Read each sentence twice, the second time with one word "
            "changed: the name of another country, or a first name of the other gender. All other "
            "words stay as they are, even if the sentence then contradicts itself. So what still "
            "differs between the two runs' cell states is what that one word has left behind; "
            f"here is how far apart they are, the mean of {person.sentences} sentences with `but` "
            f"and {stays.sentences} with `because`."
        ),
        figure(
            plots.courses,
            {f"{t.changed} changed, … {t.joint} …": t.distances for t in trails},
            ("noun", "but / because", "name / she, he", "did", "not"),
            across="word",
            up="distance of cell states",
            caption="How far apart two runs stay that differ in one word.",
            alt="Four lines over five words: "
            + "; ".join(
                f"{t.changed} changed with {t.joint}, from {t.distances[0]:.2f} to "
                f"{t.distances[-1]:.2f}"
                for t in trails
            ),
        ),
        Prose(verdicts.what_goes(person, stays, country)),
        Prose(verdicts.what_is_left(of_person, of_country, person)),
    ]


def the_switch(switch: Switch, edited: Edited, trained: Trained) -> list[Piece]:
    result, (single, alone) = switch.result, switch.alone
    reached = switch.found[-1].turned >= ENOUGH
    k = len(switch.units)
    names = ", ".join(map(str, switch.units))
    needless = len(switch.found) - k
    remain = (
        f"remain without the {needless} that later ones made needless"
        if needless
        else "are what was found, and none of them is needless"
        if reached
        else "are what it has come to"
    )
    first, last = EXAMPLE.country, COUNTRIES[1]
    pieces: list[Piece] = [
        Heading("From France to Italy, by hand"),
        Prose(
            "If some units carry the country, then giving them the values that they have in the "
            "same sentence about Italy should move it there. Which units? Begin with none, add "
            f"the one that helps most, and go on: a search on {switch.searched} sentences of the "
            "training, each moved to another country from the verb on."
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
            f"**{k} of {trained.model.lstm.hidden_size} units** ({names}) {remain}. On "
            f"{switch.sentences} held-out sentences, "
            f"moved from any country to any other, {percent(result.turned)} of the foods and "
            f"drinks turn: "
            f"{percent(result.first)} of the first, {percent(result.second)} of the second, which "
            f"comes after `but` or `because`. The best single unit ({single}) turns "
            f"{percent(alone.turned)}, and {k} drawn at random {percent(switch.at_random)} on "
            "average."
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
