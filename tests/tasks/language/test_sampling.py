"""What is drawn follows the model's own distribution, as far as it is let."""

from itertools import islice

import numpy as np
import pytest
import torch

from glasscell.errors import UserError
from glasscell.tasks.language.characters import Characters
from glasscell.tasks.language.model import LanguageModel, LanguageModelConfig
from glasscell.tasks.language.sampling import generate, sample_tokens, sampling_probabilities
from glasscell.tasks.language.vocabulary import UnknownCharacters

LOGITS = torch.log(torch.tensor([0.05, 0.5, 0.15, 0.3]))
ALPHABET = "abcde \n"


@pytest.fixture
def model():
    torch.manual_seed(3)
    return LanguageModel(
        LanguageModelConfig(len(ALPHABET), hidden=16, embedding=8, layers=2)
    ).eval()


def test_plain_sampling_is_softmax():
    torch.testing.assert_close(
        sampling_probabilities(LOGITS), torch.tensor([0.05, 0.5, 0.15, 0.3]).double()
    )


def test_temperature_sharpens_and_flattens():
    p = torch.tensor([0.05, 0.5, 0.15, 0.3]).double()
    for t in (0.5, 2.0):
        torch.testing.assert_close(
            sampling_probabilities(LOGITS, temperature=t), p ** (1 / t) / (p ** (1 / t)).sum()
        )
    assert sampling_probabilities(LOGITS, temperature=0).tolist() == [0, 1, 0, 0]


def test_top_k_keeps_the_most_probable():
    kept = sampling_probabilities(LOGITS, top_k=2)
    torch.testing.assert_close(kept, torch.tensor([0, 0.625, 0, 0.375]).double())
    assert (sampling_probabilities(LOGITS, top_k=99) > 0).all()


@pytest.mark.parametrize(("p", "kept"), [(0.4, 1), (0.51, 2), (0.79, 2), (0.81, 3), (0.96, 4)])
def test_top_p_keeps_the_smallest_set_that_reaches_p(p, kept):
    probabilities = sampling_probabilities(LOGITS, top_p=p)
    assert int((probabilities > 0).sum()) == kept
    chosen = torch.softmax(LOGITS.double(), 0)[probabilities > 0]
    assert chosen.sum() >= p > chosen.sum() - chosen.min()
    assert probabilities.sum() == pytest.approx(1)


def test_top_k_and_top_p_with_everything_equal():
    assert int((sampling_probabilities(torch.zeros(5), top_k=2) > 0).sum()) == 2
    assert int((sampling_probabilities(torch.zeros(5), top_p=0.39) > 0).sum()) == 2


def test_draws_have_the_frequencies_of_the_distribution(model):
    """Chi-square of 4,000 first draws; 99.9 % quantile for 6 degrees of freedom: 22.5."""
    prompt = torch.tensor([1, 2, 3])
    with torch.no_grad():
        p = torch.softmax(model(prompt.view(-1, 1))[0][-1, 0].double(), 0).numpy()
    n = 4000
    draws = [next(sample_tokens(model, prompt, seed=seed)) for seed in range(n)]
    counts = np.bincount(draws, minlength=len(p))
    assert ((counts - n * p) ** 2 / (n * p)).sum() < 22.5


def test_the_carried_state_is_that_of_the_whole_text(model):
    """Each token drawn greedily is the most probable one by a full pass over all before it."""
    tokens = [1, 4]
    for token in islice(sample_tokens(model, torch.tensor(tokens), temperature=0), 20):
        with torch.no_grad():
            logits, _ = model(torch.tensor(tokens).view(-1, 1))
        assert token == int(logits[-1, 0].argmax())
        tokens.append(token)


def test_a_seed_draws_the_same_text(model):
    v = Characters(ALPHABET)
    texts = ["".join(generate(model, v, "ab", 40, seed=seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 40


def test_pieces_come_one_by_one_and_an_empty_prompt_begins_a_line(model):
    v = Characters(ALPHABET)
    assert list(generate(model, v, "", 5, seed=1)) == list(generate(model, v, "\n", 5, seed=1))
    assert "".join(generate(model, v, "a", 0)) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -1},
        {"top_k": 0},
        {"top_k": 1.5},
        {"top_p": 0.0},
        {"top_p": 1.5},
        {"length": -1},
        {"length": 2.5},
        {"seed": -1},
        {"seed": 2**63},
    ],
)
def test_wrong_options_are_told_before_anything_is_drawn(model, wrong):
    with pytest.raises(UserError, match=next(iter(wrong))):
        generate(model, Characters(ALPHABET), "a", **wrong)


def test_unknown_prompt(model):
    with pytest.raises(UnknownCharacters, match="'z'"):
        generate(model, Characters(ALPHABET), "az")


def test_the_smallest_temperature_takes_the_most_probable():
    for temperature in (5e-324, 1e-310, 1e-300):
        p = sampling_probabilities(LOGITS * 1000, temperature=temperature)
        assert p.tolist() == [0, 1, 0, 0]
