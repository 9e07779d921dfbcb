"""The France story: the edit against an independent loop, and what it must show on every seed."""

import pytest
import torch

import glasscell
from glasscell.stories.france import switch, trained
from glasscell.stories.france.forgetting import joint_gates, trails
from glasscell.stories.france.knowing import country_auc, known
from glasscell.stories.france.moving import edited_example
from glasscell.stories.france.patching import patched
from glasscell.stories.france.reading import LAYER, read, shares_right
from glasscell.stories.france.switching import (
    others,
    outcome,
    pairs,
    pruned,
    search,
)
from glasscell.stories.france.walking import walk
from glasscell.tasks.france import COUNTRIES, EXAMPLE, ID, features
from glasscell.tasks.france.language import WOMEN


def loop(model, words, units, first, cell):
    """The edited run as one would write it by hand, step by step."""
    lstm = model.lstm
    h = c = torch.zeros(words.shape[1], lstm.hidden_size)
    logits = []
    for t in range(len(words)):
        pre = model.embedding(words[t]) @ lstm.weight_ih_l0.T + h @ lstm.weight_hh_l0.T
        i, f, g, o = (pre + lstm.bias_ih_l0 + lstm.bias_hh_l0).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        if t >= first:
            c = c.index_copy(1, torch.tensor(units), cell[t][:, units])
        h = torch.sigmoid(o) * torch.tanh(c)
        logits.append(model.output(h))
    return torch.stack(logits).log_softmax(-1)


def test_the_edit_is_that_of_an_independent_loop(story):
    sentences = story.held_out(40)
    for pair in pairs(story.model, sentences, others(sentences)):
        units = [3, 17, 30]
        expected = loop(story.model, pair.words, units, pair.step, pair.cell)
        got = patched(story.model, pair.words, units, pair.step, pair.cell)
        assert torch.allclose(got, expected, atol=1e-4)
        assert (got[: pair.step] == read_log_p(story.model, pair.words)[: pair.step]).all()


def read_log_p(model, words):
    with torch.no_grad():
        return model(words).log_softmax(-1)


def test_all_units_turn_everything_and_none_turns_nothing(story):
    sentences = story.held_out(100)
    both = pairs(story.model, sentences, others(sentences))
    assert outcome(story.model, both, range(32)).both == 1.0
    assert outcome(story.model, both, []).turned == 0.0


def test_an_outcome_is_counted_sentence_by_sentence(story):
    sentences = story.held_out(60)
    targets = others(sentences)
    units = [16, 12]
    hits, seconds = [], []
    for sentence, target in zip(sentences, targets, strict=True):
        told = sentence.told_in(target)
        here, there = (read(story.model, [s.words]) for s in (sentence, told))
        first = sentence.words.index(sentence.verb)
        log_p = loop(story.model, here.words, units, first, there.layer.cell)
        for k, t in enumerate(t for t, w in enumerate(told.words) if w != sentence.words[t]):
            if k:  # the first that differs is the country
                hit = int(log_p[t - 1, 0].argmax()) == ID[told.words[t]]
                hits.append(hit)
                if k == 2:
                    seconds.append(hit)
    found = outcome(story.model, pairs(story.model, sentences, targets), units)
    assert found.turned == pytest.approx(sum(hits) / len(hits))
    assert found.second == pytest.approx(sum(seconds) / len(seconds))
    assert 0 < found.turned < 1  # or the comparison says nothing


def test_the_search_takes_the_best_unit_each_time_and_pruning_keeps_enough(story):
    sentences = story.task.sentences[:60]
    both = pairs(story.model, sentences, others(sentences))
    found = search(story.model, both)
    first = max(range(32), key=lambda u: outcome(story.model, both, [u]).margin)
    assert found[0].unit == first
    units = [step.unit for step in found]
    assert outcome(story.model, both, units).turned == found[-1].turned
    spare = next(u for u in range(32) if u not in units)
    kept = pruned(story.model, both, [spare, *units])
    assert spare not in kept
    assert outcome(story.model, both, kept).turned >= 0.99


def check_seed(story):
    """What the issue promises, on combinations that training never saw."""
    assert shares_right(story)["foods and drinks"] > 0.98
    assert country_auc(known(story, 600)) > 0.98
    found = switch(story)
    assert 2 <= len(found.units) <= 8
    assert found.result.turned > 0.9
    assert found.alone[1].turned < 0.5
    assert found.at_random < 0.5


def test_few_units_carry_the_country(story):
    check_seed(story)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_few_units_carry_the_country_from_every_seed(seed):
    check_seed(trained(seed))


def test_directions_on_held_out_sentences_against_sklearn(story):
    from sklearn.linear_model import RidgeClassifier
    from sklearn.metrics import roc_auc_score

    seen = story.task.sentences[:800]
    new = story.held_out(400)
    rows, labels = [], []
    for sentences in (seen, new):
        told = features(sentences)["country"]
        cell = read(story.model, [s.words for s in sentences]).layer.cell
        rows.append(cell[told >= 0].numpy())
        labels.append((told[told >= 0] == 0).numpy())
    fitted = RidgeClassifier().fit(rows[0], labels[0])
    assert roc_auc_score(labels[1], fitted.decision_function(rows[1])) > 0.98
    best = known(story, 400)[0]
    alone = roc_auc_score(labels[1], rows[1][:, best.unit])
    assert best.alone == pytest.approx(max(alone, 1 - alone), abs=1e-6)


def test_the_walk_tells_what_the_gates_did(story):
    seen = read(story.model, [EXAMPLE.words])
    words = walk(seen)
    assert [each.word for each in words] == EXAMPLE.words[:-1]
    with torch.no_grad(), glasscell.trace(story.model) as trace:
        story.model(seen.words)
    layer = trace[LAYER]
    c = layer.cell[:, 0]
    for t, word in enumerate(words):
        unit = word.written.unit
        write = layer.input_gate[t, 0] * layer.candidate[t, 0]
        assert word.written.amount == pytest.approx(float(write[unit]))
        assert abs(word.written.amount) == pytest.approx(float(write.abs().max()))
        if t:
            lost = (1 - layer.forget_gate[t, 0]) * c[t - 1]
            assert word.forgotten is not None
            assert word.forgotten.amount == pytest.approx(float(lost[word.forgotten.unit]))
            assert torch.allclose(c[t], c[t - 1] - lost + write, atol=1e-5)
    assert words[0].forgotten is None
    assert words[5].expected[0][0] == "croissant"


def test_but_and_because_are_compared_where_they_stand(story):
    gates = joint_gates(story, count=300)
    sentences = story.held_out(300)
    seen = read(story.model, [s.words for s in sentences])
    for joint in ("but", "because"):
        f = [
            seen.layer.forget_gate[s.words.index(joint), b]
            for b, s in enumerate(sentences)
            if s.joint == joint
        ]
        assert torch.allclose(gates.at[joint], torch.stack(f).mean(0), atol=1e-5)
    drop = gates.at["because"] - gates.at["but"]
    assert gates.units[0] == int(drop.argmax())


def test_trails_differ_in_one_word_only(story, monkeypatch):
    from glasscell.stories.france import forgetting

    asked = []

    def remembering(model, sentences):
        asked.append([list(words) for words in sentences])
        return read(model, sentences)

    monkeypatch.setattr(forgetting, "read", remembering)
    found = trails(story, count=300)
    assert len(found) == 4
    for trail, one, two in zip(found, asked[::2], asked[1::2], strict=True):
        for a, b in zip(one, two, strict=True):
            differ = [t for t, (here, there) in enumerate(zip(a, b, strict=True)) if here != there]
            assert differ == ([1] if trail.changed == "country" else [3])
            if trail.changed == "first person":
                assert (a[3] in WOMEN) != (b[3] in WOMEN)
                assert b[3] not in b[4:]  # or the language would not allow the sentence
        assert len(trail.distances) == 5
        assert trail.sentences == len(one)
    by = {(t.joint, t.changed): t.left for t in found}
    # of this model: measured, and told in the story
    assert by["but", "first person"] < 0.5 < by["because", "first person"]
    assert by["but", "country"] > 0.5


def test_the_example_turns_to_italy(story):
    units = switch(story, learn_on=150, test_on=50).units
    edited = edited_example(story.model, units, COUNTRIES[1])
    assert edited.text == "In France, Mary ate her pizza but Frank did not like the espresso."
    words = [word for word, _, _ in edited.nouns[0]]
    assert words == ["croissant", "wine", "pizza", "espresso"]
    before = read(story.model, [EXAMPLE.words]).log_p.exp()
    assert edited.nouns[0][0][1] == pytest.approx(float(before[5, 0, ID["croissant"]]))
