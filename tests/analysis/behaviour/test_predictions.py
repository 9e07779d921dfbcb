import math

import pytest
import torch

from glasscell.analysis import predictions


def test_surprise_is_minus_log2_of_the_probability_of_what_came():
    p = torch.tensor([[0.5, 0.25, 0.25], [0.125, 0.125, 0.75], [0.2, 0.2, 0.6]])
    found = predictions(p.log(), torch.tensor([0, 1, 0]))
    assert math.isnan(found.surprise[0])
    assert found.surprise[1:].tolist() == pytest.approx([2.0, 3.0])
    assert found.bits == pytest.approx(2.5)


def test_bits_are_the_cross_entropy():
    torch.manual_seed(0)
    logits, ids = torch.randn(20, 7), torch.randint(0, 7, (20,))
    nats = torch.nn.functional.cross_entropy(logits[:-1], ids[1:]).item()
    assert predictions(logits, ids).bits == pytest.approx(nats / math.log(2), rel=1e-6)


def test_the_most_probable_come_first_with_their_probabilities():
    p = torch.tensor([[0.1, 0.6, 0.3]])
    found = predictions(p.log() + 5, torch.tensor([2]), top=2)
    assert found.tokens.tolist() == [[1, 2]]
    assert found.probabilities.flatten().tolist() == pytest.approx([0.6, 0.3])
    assert math.isnan(found.bits)
    assert predictions(p.log(), torch.tensor([2]), top=9).tokens.shape == (1, 3)


def test_what_does_not_belong_together_is_refused():
    with pytest.raises(ValueError, match=r"expected \(T, V\) and \(T,\), got \(4, 3\) and \(5,\)"):
        predictions(torch.zeros(4, 3), torch.zeros(5, dtype=torch.long))
    with pytest.raises(ValueError, match="expected tokens 0 to 2"):
        predictions(torch.zeros(2, 3), torch.tensor([0, 3]))
