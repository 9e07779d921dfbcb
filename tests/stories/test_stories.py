"""The stories as documents: their numbers follow the run, and their words follow the numbers."""

from importlib import import_module

import pytest
import torch

from glasscell.examples import EXAMPLES
from glasscell.explaining import Code, Explanation, Prose, Table
from glasscell.stories.france import france, tell, trained
from glasscell.stories.turnstile import counters, turnstile
from glasscell.stories.turnstile import tell as tell_turnstile
from glasscell.stories.vanishing import QUICK, Budget, trials, vanishing
from glasscell.stories.vanishing.telling import does_it_explain, what_is_learned
from glasscell.stories.vanishing.trials import flows
from glasscell.tasks.classic import Turnstile

STORIES = ("turnstile", "france", "vanishing")


def prose(story: Explanation) -> str:
    return " ".join(piece.text for piece in story.pieces if isinstance(piece, Prose))


def table(story: Explanation, column: str) -> Table:
    return next(p for p in story.pieces if isinstance(p, Table) and column in p.head)


@pytest.mark.parametrize("name", STORIES)
def test_each_can_be_asked_for_by_name(name):
    assert EXAMPLES[name] == f"glasscell.stories.{name}:{name}"
    module, _, function = EXAMPLES[name].partition(":")
    assert callable(getattr(import_module(module), function))


@pytest.fixture(scope="module")
def networks():
    return counters(steps=600)


def test_the_turnstile_set_by_hand_is_exact_and_the_others_are_as_measured(networks):
    hand, *learned = networks
    assert hand.right == (1.0,) * 4
    assert hand.with_coins == (1.0,) * 3
    assert hand.drift == 0
    assert hand.overflowed == (0.0,) * 3
    assert hand.kind == 1
    assert [unit for unit, _ in hand.coins] == [0, 1]
    assert [r for _, r in hand.coins] == pytest.approx([1, 1])
    assert torch.allclose(hand.reading, torch.arange(7.0, dtype=torch.float64), atol=1e-3)
    assert (hand.to_price, hand.beyond) == pytest.approx((1, 1), abs=1e-6)
    for each in learned:
        assert each.run is not None
        assert each.run.reached
        assert each.to_price > 0.9  # they tell 0, 1 and 2 apart
        assert float(each.reading[6]) < 4  # and do not count on
        empty = each.model.rnn(torch.zeros(1000, 1, 2))[0]
        assert each.drift == pytest.approx(float(torch.dist(empty[19], empty[999])))
        task = Turnstile(1000)
        batch = task.batch(300, torch.Generator().manual_seed(9))
        is_open = each.model(batch.inputs).squeeze(-1) > 0
        right = is_open == (batch.inputs.sum(-1).cumsum(0) >= 2)
        assert each.right[3] == pytest.approx(float(right.double().mean()))


def test_the_turnstile_as_a_document(networks):
    story = tell_turnstile(networks)
    assert all(check.holds for check in story.checks)
    visit = table(story, "put in")
    assert [row[5] for row in visit.rows] == ["(1, 0)", "(1, 0)", "(1, 1)", "(1, 1)", "(2, 1)"]
    assert [row[7] for row in visit.rows] == ["shut", "shut", "open", "open", "open"]
    assert len(story.figures) == 2


def test_the_same_seed_the_same_story():
    one, two, other = (
        prose(tell_turnstile(counters(seed, steps=100, lengths=(20, 40)))) for seed in (0, 0, 1)
    )
    assert one == two
    assert one != other


def test_a_network_that_learned_nothing_is_told_so():
    text = prose(turnstile(steps=1))
    assert "this was not learned by: tanh RNN, ReLU RNN, LSTM" in text
    assert "All of them have learned it" not in text


def test_france_as_a_document(story):
    told = tell(story)
    assert all(check.holds for check in told.checks)
    text = prose(told)
    assert "In France, Mary ate her pizza but Frank did not like the espresso." in text
    assert len(table(told, "expects").rows) == 14
    assert len(told.figures) == 6
    assert "croissant" in told.html()
    assert "croissant" in told.markdown()


def test_the_code_that_france_shows_runs_and_does_what_it_says(story, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(
        "glasscell.stories.france.trained", lambda seed: asked.append(seed) or story
    )
    code = next(piece.text for piece in tell(story).pieces if isinstance(piece, Code))
    exec(compile(code, "shown in the story", "exec"), {})
    assert capsys.readouterr().out == "pizza\n"
    assert asked == [story.seed]


@pytest.mark.slow
def test_france_from_beginning_to_end():
    assert all(check.holds for check in france().checks)


def test_a_model_that_has_learned_little_is_told_so():
    text = prose(tell(trained(steps=60, sentences=2000)))
    assert "The search gave up at" in text


@pytest.fixture(scope="module")
def quick():
    return trials(QUICK)


def test_vanishing_tells_what_was_measured(quick):
    assert len(quick) == 2 * 2 * 4
    flow = flows(60, QUICK.hidden, 0)
    for trial in quick:
        if trial.task == "adding" and trial.T == 60:
            assert trial.before == pytest.approx(float(flow[trial.network].relative[-1]))
    shown = Explanation("", what_is_learned(quick, QUICK))
    rows = table(shown, "T = 60").rows
    first = next(t for t in quick if t.T == 20)
    assert f"{first.run.score:.3g}" in rows[0][1]
    told = prose(shown)
    for network in ("RNN", "LSTM, chrono"):
        solved = [
            t.T for t in quick if t.task == "temporal_order" and t.network == network and t.solved
        ]
        says = {0: "at no length", 1: "at T = ", 2: "at every length"}[len(solved)]
        assert f"{network} solves it {says}" in told


def test_what_is_said_of_arriving_gradients_is_counted(quick):
    arrived = [t for t in quick if t.before >= 0.01]
    others = [t for t in quick if t.before < 0.01]
    text = prose(Explanation("", does_it_explain(quick)))
    assert f"{sum(t.solved for t in arrived)} of {len(arrived)} solved" in text
    assert f"{sum(t.solved for t in others)} of {len(others)}." in text


def test_a_terminal_is_told_what_is_being_done_and_nobody_else(monkeypatch, capsys):
    budget = Budget(lengths=(20,), steps=1, hidden=2, batch=2)
    vanishing(budget)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    vanishing(budget)
    said = capsys.readouterr().err
    assert "8 of 8: LSTM, chrono, adding, T = 20" in said
    assert said.endswith("\r\x1b[K")


def test_vanishing_as_a_document():
    budget = Budget(lengths=(20, 24), steps=3, hidden=4, batch=4, seeds=(0, 1))
    story = vanishing(budget)
    assert "2 trainings each, from seeds 0, 1" in prose(story)
    assert len(story.figures) == 3
    assert story.html().startswith("<!")
