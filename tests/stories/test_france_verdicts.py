"""What is said of the model of the France story follows its numbers, whatever these are."""

from dataclasses import replace

import pytest
import torch

from glasscell.errors import InputError
from glasscell.explaining import Explanation, Prose
from glasscell.stories.france import Switch, findings, trained
from glasscell.stories.france.forgetting import Gates, Trail, trails
from glasscell.stories.france.knowing import Around, Known
from glasscell.stories.france.moving import Edited
from glasscell.stories.france.reading import read
from glasscell.stories.france.switching import Outcome, Step
from glasscell.stories.france.telling import about_the_language
from glasscell.stories.france.verdicts import what_goes, what_is_left, what_shuts, who_knows
from glasscell.tasks.france import COUNTRIES, EXAMPLE


def trail(joint, changed, *parts):
    words = ("noun", joint, "she or he" if joint == "because" else "new name", "did", "not")
    return Trail(joint, changed, tuple(4 * part for part in parts), words, 10)


def goes(person, stays, country):
    """What is said of trails of which these parts are left at the end."""
    return what_goes(
        trail("but", "first person", 1, 0.9, 0.8, 0.8, person),
        trail("because", "first person", 1, 1, 1, 1, stays),
        trail("but", "country", 1, 1, 1, 1, country),
    )


@pytest.mark.parametrize(
    ("person", "stays", "country", "says"),
    [
        (0.3, 0.99, 0.98, "So `but` lets the person go and keeps the country"),
        (0.38, 0.48, 0.98, "but over `because` most of the person goes as well, where she or he"),
        (0.3, 0.9, 0.4, "So most of the person goes over `but`, and most of the country as well."),
        (0.79, 0.98, 1.17, "So `but` weakens the person more than `because` does, and more than"),
        (0.3, 0.2, 0.9, "So `but` does not single out the first person."),
        (1.1, 1.4, 1.2, "So `but` does not single out the first person."),
        (0.9, 1.4, 0.6, "So `but` does not single out the first person."),
    ],
)
def test_what_but_lets_go_is_what_the_trails_lose(person, stays, country, says):
    told = goes(person, stays, country)
    assert says in told
    assert told.count("So ") == 1
    assert f"({100 * person:.0f}\u00a0% of it)" in told
    assert "At the joint itself, 90\u00a0% of the first name's trail stays with `but`, 100" in told


def test_a_trail_is_of_one_word_and_the_same_run_twice_has_none(story, monkeypatch):
    # an independent loop: the word is replaced, everything else read on
    found = {(t.joint, t.changed): t for t in trails(story, count=200)}
    but = [s for s in story.held_out(200) if s.joint == "but" and not s.likes]
    plain = [s for s in but if len(s.first.names) == 1 == len(s.second.names)]
    far = []
    for sentence in plain:
        k = (COUNTRIES.index(sentence.country) + 1) % 6
        words = sentence.words
        assert words[1] == sentence.country.name
        other = [words[0], COUNTRIES[k].name, *words[2:]]
        one, two = (read(story.model, [w]).layer.cell[:, 0] for w in (words, other))
        at = words.index("but")
        far.append((one - two).norm(dim=1)[at - 1 : at + 4])
    expected = torch.stack(far).mean(0)
    country = found["but", "country"]
    assert torch.allclose(torch.tensor(country.distances), expected.float(), rtol=1e-4)
    assert country.sentences == len(plain)


def test_no_sentence_no_trail(story):
    with pytest.raises(InputError, match="count: expected enough held-out sentences to find one"):
        trails(story, count=1)


def known(alone, direction, gender=0.9):
    countries = [Known(f"in {c.name}", k, alone, direction) for k, c in enumerate(COUNTRIES)]
    return [*countries, Known("a man", 7, gender, 1.0), Known("two people", 8, 0.5, 1.0)]


def test_no_auc_in_the_prose_is_below_one_of_the_table():
    says = who_knows(known(0.945, 0.9995), 32)
    assert "with an AUC of at most 0.945, and all 32 together do with 0.9995" in says
    assert "0.94," not in says
    says = who_knows(known(0.996, 0.9995, gender=0.999), 32)
    assert "a unit of its own (AUC 0.996)" in says
    assert "Unit 7 alone tells “a man” with 0.999." in says


def test_a_country_that_is_not_known_is_not_spread_out():
    says = who_knows(known(0.6, 0.7), 32)
    assert (
        "not told for certain, neither by one unit (an AUC of at most 0.600) nor by all 32" in says
    )
    assert "spread" not in says


def test_a_gate_that_does_not_shut_is_not_said_to():
    at = {"but": torch.tensor([0.9, 0.2]), "because": torch.tensor([0.9, 0.1])}
    assert what_shuts(Gates(at, [0, 1]), []) == "No unit keeps less at `but`."
    at = {"but": torch.tensor([0.1, 0.9]), "because": torch.tensor([0.8, 0.1])}
    says = what_shuts(Gates(at, [0, 1]), [Known("a man", 0, 1.0, 1.0)])
    assert "Unit 0 shuts most" in says  # unit 1 differs as much, and opens
    assert "It is the unit that tells “a man” best." in says


def test_nothing_is_said_to_have_shrunk_unless_it_has():
    told = Known("first a man", 3, 1.0, 1.0)
    country = Around(Known("in France", 1, 0.9, 1.0), Known("in France", 1, 0.8, 1.0))
    short, long = (trail("but", "first person", 1, part, part, part, part) for part in (0.3, 0.9))
    around = Around(told, replace(told, unit=9, alone=0.85))
    assert "30\u00a0% of the trail is left by then" in what_is_left(around, country, short)
    assert "shrunk" not in what_is_left(around, country, long)
    assert "0.850 (unit 9)" in what_is_left(around, country, long)
    lost = Around(told, replace(told, direction=0.7))
    assert "tell it with 1.000 before and 0.700 after." in what_is_left(lost, country, short)


def switched(found, units, turned):
    outcome = Outcome(turned, turned, turned, turned, 0.5)
    return Switch(found, units, outcome, (1, outcome), 0.1, 500, searched=217)


@pytest.mark.parametrize(
    ("units", "turned", "says"),
    [
        ((4, 5), 1.0, "(4, 5) remain without the 1 that later ones made needless."),
        ((4, 5, 6), 1.0, "(4, 5, 6) are what was found, and none of them is needless."),
        ((4, 5, 6), 0.5, "(4, 5, 6) are what it has come to."),
    ],
)
def test_the_search_is_told_as_it_went(story, units, turned, says):
    found = tuple(Step(unit, turned) for unit in (4, 5, 6))
    example = Edited(((("croissant", 0.9, 0.1),), (("wine", 0.9, 0.1),)), "In France.")
    pieces = findings.the_switch(switched(found, units, turned), example, story)
    text = " ".join(p.text for p in pieces if isinstance(p, Prose))
    assert says in text
    assert "a search on 217 sentences of the training" in text
    assert ("The search gave up at 3 units" in text) == (turned < 0.99)


def test_what_is_measured_on_training_sentences_is_said(story):
    text = " ".join(p.text for p in about_the_language(story) if isinstance(p, Prose))
    assert "but for one search near the end, which goes by sentences of the training" in text


def test_the_words_of_the_example_are_on_the_axis_of_the_unit(story):
    seen = read(story.model, [EXAMPLE.words])
    tokens = EXAMPLE.words[:-1]
    pieces = findings.what_is_known(known(0.9, 0.99), seen, tokens)
    (strips,) = Explanation("", pieces).figures
    assert list(strips.figure.layout.xaxis.ticktext) == tokens


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(7))
def test_one_word_leaves_its_trail_on_every_seed(seed):
    found = {(t.joint, t.changed): t.left for t in trails(trained(seed))}
    assert found["but", "first person"] < found["because", "first person"]
    assert found["but", "first person"] < found["but", "country"]
