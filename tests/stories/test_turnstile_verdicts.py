"""What is said of the networks at the turnstile follows their numbers, whatever these are."""

import math
from dataclasses import replace

import pytest
import torch

from glasscell.explaining import Explanation, Prose, Table
from glasscell.stories.turnstile import counters, tell
from glasscell.stories.turnstile.counters import _drift, _measured, _with_coins
from glasscell.stories.turnstile.telling import longer
from glasscell.stories.turnstile.verdicts import do_they_count, how_far, why
from glasscell.tasks.classic import SequenceModel, Turnstile


@pytest.fixture(scope="module")
def networks():
    return counters(steps=100, lengths=(20, 40))


@pytest.fixture
def made(networks):
    """Networks with the numbers that are asked for; perfect ones where none are."""

    def with_numbers(**of_each):
        hand, *trained = networks
        perfect = {
            "to_price": 1.0,
            "beyond": 0.5,
            "kind": 0.5,
            "reading": [0, 1, 2, 2, 2, 2, 2],
            "right": (1.0, 1.0),
            "with_coins": (1.0, 1.0, 1.0),
            "overflowed": (0.0, 0.0, 0.0),
            "drift": 0.0,
        }
        found = []
        for k, network in enumerate(trained):
            numbers = perfect | {name: values[k] for name, values in of_each.items()}
            numbers["reading"] = torch.tensor(numbers["reading"], dtype=torch.float64)
            found.append(replace(network, **numbers))
        return hand, found

    return with_numbers


def test_only_those_that_tell_none_one_and_enough_are_said_to(made):
    says = do_they_count(*made(to_price=[0.99, 0.22, 0.99]))
    assert "the tanh RNN and the LSTM tell none, one, and **enough**" in says
    assert "In the ReLU RNN no straight direction tells even 0 to 2 coins well ($R^2$ 0.22)" in says
    assert "none, one, and" not in do_they_count(*made(to_price=[0.1, 0.2, 0.3]))


def test_a_reading_that_goes_on_or_falls_back_is_not_enough(made):
    enough, on = [0, 1, 2, 2, 2.4, 2.4, 2.4], [0, 1, 2, 2.9, 3.8, 4.7, 5.6]
    says = do_they_count(*made(reading=[enough, on, [0, 1, 2, 1, 0, -1, -2]]))
    assert (
        "the tanh RNN tells none, one, and **enough**: each coin after the price adds 0.10" in says
    )
    assert "The ReLU RNN goes on counting beyond the price" in says
    assert "each further coin adds 0.90." in says
    assert "After the price the LSTM reads −2.00 to 2.00: neither a count nor enough." in says


@pytest.mark.parametrize(
    ("kinds", "concludes"),
    [
        ([0.5, 0.55, 0.6], "So none does: the answer"),
        ([0.5, 0.95, 0.92], "So the ReLU RNN and the LSTM do, though"),
        ([0.5, 0.7, 0.8], "So none does it well: the answer"),
    ],
)
def test_copper_and_silver_are_kept_apart_where_a_direction_tells_them(made, kinds, concludes):
    says = do_they_count(*made(kind=kinds))
    assert f"the tanh RNN {kinds[0]:.2f}, the ReLU RNN {kinds[1]:.2f}" in says
    assert concludes in says


def test_two_units_that_keep_kinds_apart_without_counting_are_found():
    model = SequenceModel(Turnstile(20), "rnn", 2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.rnn.weight_ih_l0.copy_(5 * torch.eye(2))  # each unit: has such a coin come at all?
        model.rnn.weight_hh_l0.copy_(5 * torch.eye(2))
    found = _measured("two units", model, None, (20, 40))
    assert all(abs(r) < 0.9 for _, r in found.coins)  # they do not follow the numbers
    assert found.kind == 1


def test_all_that_are_below_always_giving_one_answer_are_named(made):
    says = how_far(*made(right=[(1.0, 0.2), (1.0, 0.3), (1.0, 0.9)]))
    assert "right; the LSTM 90\u00a0%, the ReLU RNN 30\u00a0%, the tanh RNN 20\u00a0%." in says
    assert "the ReLU RNN and the tanh RNN do worse than that." in says
    says = how_far(*made(right=[(1.0, 1.0), (1.0, 0.7), (1.0, 0.9)]))
    assert (
        "and so do, or nearly so: the tanh RNN 100\u00a0%. The others: the LSTM 90\u00a0%" in says
    )
    assert "worse" not in says


def test_who_moves_to_infinity_still_moves(made):
    says = why(
        *made(drift=[1.3, math.inf, 0.0], with_coins=[(1, 0.2, 1), (0.4, 0, 0.3), (1, 1, 1)])
    )
    assert "Without a single coin, the tanh RNN and the ReLU RNN still move" in says
    assert "(the ReLU RNN beyond what numbers can hold" in says
    assert "nan" not in says.lower()


def test_an_answer_that_is_no_number_is_neither_open_nor_shut(made):
    says = why(*made(with_coins=[(1, 1, 1), (0.7, 1, 0.3), (1, 1, 1)],
                     overflowed=[(0, 0, 0), (0.3, 0, 0.7), (0, 0, 0)]))  # fmt: skip
    assert "open" not in says
    assert "shut" not in says
    assert "In the ReLU RNN numbers grow until they overflow" in says
    assert "at 30\u00a0%, 0\u00a0%, 70\u00a0% of these steps. That counts as wrong." in says


def test_one_that_explodes_is_measured_as_exploding(networks):
    model = networks[2].model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    try:
        for parameter in model.parameters():
            parameter.zero_()
        # one unit doubles and the other is the first with another sign: infinity minus infinity
        model.rnn.bias_ih_l0[:2] = 1.0
        model.rnn.weight_hh_l0[:2, 0] = 2.0
        model.head.weight[0, 0], model.head.weight[0, 1] = 1.0, -1.0
        assert _drift(model, 20, 1000) == math.inf
        right, lost = _with_coins(model, 1000)
        assert all(share > 0.5 for share in lost)
        assert all(r + o <= 1 + 1e-12 for r, o in zip(right, lost, strict=True))
        exploding = replace(networks[2], drift=math.inf, with_coins=right, overflowed=lost)
        told = Explanation("", longer([*networks[:2], exploding, networks[3]]))
        moves = next(p for p in told.pieces if isinstance(p, Table) and "moves by" in p.head)
        assert moves.rows[2][-1] == "∞"
    finally:
        model.load_state_dict(before)


def test_who_holds_all_that_was_tried_is_said_to(made):
    says = why(*made())
    assert says == "They hold what they have counted, as long as that was tried."


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(7))
def test_on_every_seed_the_prose_agrees_with_the_numbers(seed):
    found = counters(seed)
    text = " ".join(p.text for p in tell(found).pieces if isinstance(p, Prose))
    assert "nan" not in text.lower()
    enough = text.partition("none, one, and **enough**")[0].rpartition("Along this direction")[2]
    for each in found[1:]:
        if each.to_price < 0.5:
            assert each.name not in enough
        assert not math.isnan(each.drift)
        if each.drift > 0.1:
            moving = text.partition("Without a single coin, ")[2].partition(" still move")[0]
            assert each.name in moving
