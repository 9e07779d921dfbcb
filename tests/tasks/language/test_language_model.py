"""The model: shapes, tying, dropout, the state, and the same numbers as torch.nn."""

import pytest
import torch
from torch import nn

import glasscell
from glasscell.errors import UserError
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig

TORCH = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_it_is_embedding_recurrence_and_output(cell):
    model = LanguageModel(LanguageModelConfig(13, cell, hidden=8, layers=2, embedding=6))
    tokens = torch.randint(13, (9, 4))
    rnn = TORCH[cell](6, 8, 2)
    rnn.load_state_dict(model.rnn.state_dict())
    h, last = rnn(nn.functional.embedding(tokens, model.embedding.weight))
    assert model.output is not None
    logits, state = model(tokens)
    torch.testing.assert_close(logits, model.output(h))
    torch.testing.assert_close(state, last)


@pytest.mark.parametrize("embedding", [8, 5])
def test_tied_output_is_the_embedding(embedding):
    model = LanguageModel(LanguageModelConfig(13, hidden=8, embedding=embedding, tied=True))
    names = set(model.state_dict())
    assert ("projection.weight" in names) == (embedding != 8)
    assert "output.weight" not in names
    logits, _ = model(torch.randint(13, (3, 2)))
    assert logits.shape == (3, 2, 13)
    # Scores of all tokens depend on all embeddings, not on those of the inputs alone.
    (gradient,) = torch.autograd.grad(logits.logsumexp(-1).sum(), model.embedding.weight)
    assert (gradient != 0).any(1).all()


def test_dropout_is_for_training_alone():
    model = LanguageModel(LanguageModelConfig(13, hidden=8, layers=2, dropout=0.5))
    tokens = torch.randint(13, (5, 2))
    assert not torch.equal(model(tokens)[0], model(tokens)[0])
    model.eval()
    assert torch.equal(model(tokens)[0], model(tokens)[0])


def test_the_forget_gate_starts_open():
    model = LanguageModel(LanguageModelConfig(13, hidden=32, embedding=8)).eval()
    with glasscell.trace(model) as trace:
        model(torch.randint(13, (5, 2)))
    assert trace["rnn.l0"].forget_gate.mean() > 0.65


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"cell": "elman"}, "cell: there is no variant 'elman'"),
        ({"hidden": 0}, "hidden: expected at least 1, got 0"),
        ({"layers": -1}, "layers: expected at least 1"),
        ({"dropout": 1.0}, "dropout: expected a fraction"),
    ],
)
def test_wrong_architectures(wrong, message):
    with pytest.raises(UserError, match=message):
        LanguageModelConfig(13, **wrong)
