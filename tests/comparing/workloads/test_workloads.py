"""What cells are compared on: the same data for all, in an order that a seed fixes."""

import math
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from glasscell.comparing.models import Size
from glasscell.comparing.workloads import read_workload
from glasscell.comparing.workloads.text import TextWorkload
from glasscell.errors import UserError
from glasscell.tasks.language import LanguageModel, evaluate, split_by_position

KINDS = ("text", "series", "classic")


@pytest.fixture(params=KINDS)
def workload(request, book, table):
    return read_workload(
        {
            "text": {"task": "text", "files": [book]},
            "series": {"task": "series", "file": table, "target": "demand", "time": "hour"},
            "classic": {"task": "classic", "name": "adding", "T": 20},
        }[request.param]
    )


def losses(workload, seed, cell="gru", n=5):
    torch.manual_seed(0)
    model, feed = workload.model(cell, Size(4)), workload.feed(seed)
    return [float(feed.loss(model).detach()) for _ in range(n)]


def test_a_seed_fixes_the_order(workload):
    assert losses(workload, 3) == losses(workload, 3)
    assert losses(workload, 3) != losses(workload, 4)


def test_a_description_gives_the_same_again(workload):
    again = read_workload(workload.description)
    assert again.description == workload.description
    assert losses(again, 1) == losses(workload, 1)
    assert again.measure == workload.measure


def bits_by_hand(workload, model):
    """Each held-out part read at once, from its first token on."""
    split = split_by_position(Path(workload.description["files"][0]).read_text("utf-8"))
    scores = []
    for part in (split.validation, split.test):
        known = "".join(c for c in str(part) if not workload.vocabulary.unknown(c))
        tokens = workload.vocabulary.encode(known).long()
        logits, _ = model(tokens[:-1, None])
        log_p = logits[:, 0].double().log_softmax(-1)
        scores.append(float(-log_p[range(len(tokens) - 1), tokens[1:]].mean()) / math.log(2))
    return tuple(scores)


def errors_by_hand(workload, model):
    """Each held-out part read after the 200 rows before it; Hyndman and Koehler's ratio."""
    series = workload.series
    naive = series.values[: series.train].double().diff().abs().mean()
    scores = []
    for a, b in ((series.train, series.validation), (series.validation, len(series.values))):
        forecast = model(series.values[a - 200 : b - 1, None, None])[0].flatten()  # of a - 199 on
        errors = (forecast[199:] - series.values[a:b]).abs().double()
        scores.append(float(errors.mean() / naive))
    return tuple(scores)


def squares_by_hand(workload, model):
    """Sequences of the two seeds that no training has."""
    scores = []
    for seed in (2**31, 2**31 + 1):
        batch = workload.task.batch(1000, torch.Generator().manual_seed(seed))
        scores.append(
            float((model(batch.inputs).flatten() - batch.targets).double().square().mean())
        )
    return tuple(scores)


@pytest.mark.parametrize("cell", ["lstm", "nfg", "mut1", "slstm"])
def test_every_cell_is_scored_as_by_hand_and_read(workload, cell):
    torch.manual_seed(1)
    model = workload.model(cell, Size(4)).eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    by_hand = {"text": bits_by_hand, "series": errors_by_hand, "classic": squares_by_hand}
    with torch.no_grad():
        expected = by_hand[workload.description["task"]](workload, model)
    assert (workload.validation(model), workload.test(model)) == pytest.approx(expected, rel=1e-5)
    assert workload.read(model) == pytest.approx(workload.tokens_per_update, rel=0.2)
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_what_is_held_out_is_not_what_chooses(workload):
    model = workload.model("lstm", Size(4)).eval()
    assert workload.validation(model) != workload.test(model)


def test_the_text_is_split_and_scored_as_train_text_does(book):
    workload = TextWorkload([book])
    model = workload.model("gru", Size(5)).eval()
    assert isinstance(model, LanguageModel)
    text = split_by_position(Path(book).read_text("utf-8"))
    known = "".join(c for c in str(text.test) if not workload.vocabulary.unknown(c))
    score = evaluate(model, workload.vocabulary, known)
    assert workload.test(model) == pytest.approx(score.bits_per_character, rel=1e-6)
    assert workload.measure.name == "bits a character"


def test_a_round_reads_every_token_from_a_place_that_the_seed_draws(book):
    workload = TextWorkload([book])
    text = split_by_position(Path(book).read_text("utf-8")).train
    tokens = workload.vocabulary.encode(text)
    begins = set()
    for seed in range(4):
        feed = workload.feed(seed)
        read: list[torch.Tensor] = []

        def model(inputs: Any, state: Any, read: Any = read) -> Any:
            read.append(inputs)
            return torch.zeros(*inputs.shape, len(workload.vocabulary)), torch.zeros(1)

        for _ in range(len(workload.train)):
            feed.loss(cast(Any, model))
        streams = torch.cat(read).t().flatten()  # one stream after the other, as in the text
        place = int(torch.randint(len(tokens), (), generator=torch.Generator().manual_seed(seed)))
        assert torch.equal(streams, tokens.roll(-place)[: len(streams)].long())
        assert len(streams) > len(tokens) - 2 * feed._train.inputs.shape[1]
        begins.add(place)
    assert len(begins) == 4


def test_other_data_than_before_is_refused(book, table):
    for description in (
        {"task": "text", "files": [book], "sha256": "0"},
        {"task": "series", "file": table, "target": "demand", "sha256": "0"},
    ):
        with pytest.raises(UserError, match="is not the one that was begun with"):
            read_workload(description)


@pytest.mark.parametrize(
    ("description", "says"),
    [
        (
            {"task": "classic", "name": "ading"},
            "task: expected one of .* got 'ading' .do you mean adding",
        ),
        ({"task": "classic", "name": "adding", "T": 3}, "T: expected at least 20"),
        ({"task": "text", "files": []}, "no text to compare"),
        ({"task": "text", "files": ["x"], "level": "chars"}, "level: expected one of char"),
    ],
)
def test_what_cannot_be_used(description, says):
    with pytest.raises(UserError, match=says):
        read_workload(description)
