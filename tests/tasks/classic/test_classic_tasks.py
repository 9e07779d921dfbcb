"""Adding, temporal order and the turnstile: targets against independent readings of the inputs,
and their known levels."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from glasscell.errors import InputError
from glasscell.tasks.classic import Adding, TemporalOrder, Turnstile
from glasscell.tasks.classic.temporal_order import CLASSES, SYMBOLS

KINDS = (Adding, TemporalOrder, Turnstile)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
@given(T=st.integers(20, 90), seed=st.integers(0, 10**6))
def test_a_seed_draws_the_same_batch_again_and_another_another(kind, T, seed):
    task = kind(T)
    one, two, three = (task.batch(6, seeded(s)) for s in (seed, seed, seed + 1))
    assert torch.equal(one.inputs, two.inputs)
    assert torch.equal(one.targets, two.targets)
    assert not torch.equal(one.inputs, three.inputs)
    assert one.inputs.shape == (T, 6, task.input_size)
    assert one.lengths.tolist() == [T] * 6


@pytest.mark.parametrize("kind", KINDS)
def test_chance_is_the_best_score_of_a_constant_answer(kind):
    task = kind(40)
    batch = task.batch(20_000, seeded())
    if task.name == "adding":
        constant = batch.targets.double().var(correction=0)
        np.testing.assert_allclose(
            task.score(torch.full((20_000, 1), 0.5), batch), constant, rtol=1e-3
        )
        np.testing.assert_allclose(constant, task.chance, rtol=0.03)
        return
    if task.name == "turnstile":
        always = [torch.full((40, 20_000, 1), side) for side in (-1.0, 1.0)]
    else:
        always = [torch.eye(4)[k].expand(20_000, 4) for k in range(4)]
    best = max(task.score(answer, batch) for answer in always)
    assert best == pytest.approx(task.chance, abs=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answers_reach_the_optimum(kind):
    task = kind(30)
    batch = task.batch(200, seeded())
    if task.name == "adding":
        answers = batch.targets[:, None]
    elif task.name == "turnstile":
        answers = (20 * batch.targets - 10)[..., None]
    else:
        answers = 20.0 * torch.eye(4)[batch.targets]
    assert task.score(answers, batch) == task.optimum
    assert float(task.loss(answers, batch)) == pytest.approx(0, abs=1e-4)


def test_adding_as_the_paper_says_it_sequence_by_sequence():
    T = 50
    batch = Adding(T).batch(500, seeded())
    x = batch.inputs.numpy()
    assert np.abs(x[..., 0]).max() <= 1
    seen_first_step = False
    for b in range(500):
        value, mark = x[:, b, 0], x[:, b, 1]
        marked = [t for t in range(T) if mark[t] == 1]
        assert len(marked) == 2
        assert marked[0] < 10
        assert marked[1] < T // 2 - 1
        assert mark[-1] == -1
        assert mark[0] == (1 if 0 in marked else -1)
        assert set(mark[1:-1]) <= {0, 1}
        seen_first_step |= 0 in marked
        X = [0.0 if t == 0 else value[t] for t in marked]
        assert float(batch.targets[b]) == pytest.approx(0.5 + sum(X) / 4, abs=1e-6)
    assert seen_first_step


@pytest.mark.parametrize("T", [20, 21, 22])
def test_the_shortest_additions_have_their_second_mark_anywhere_in_the_first_half(T):
    batch = Adding(T).batch(60_000, seeded())
    is_marked = batch.inputs[..., 1] == 1  # (T, B)
    assert bool((is_marked.sum(0) == 2).all())
    half = T // 2 - 1
    with_ninth = is_marked[:, is_marked[9]].double().mean(1)
    if half == 9:  # the tenth step can only be the first of the two: the other is any of nine
        np.testing.assert_allclose(with_ninth[:9], np.full(9, 1 / 9), atol=0.015)
        counted = is_marked.clone()
        counted[0] = False
        expected = float(counted.sum(0).double().mean()) / 3 / 16
        assert Adding(T).chance == pytest.approx(expected, rel=0.003)
    first = [
        1.0 if one == 0 else 1 / (half - 1) if one < half else 1 / half for one in range(10)
    ]  # how likely the first step is marked, given the first mark
    assert Adding(T).chance == pytest.approx((2 - sum(first) / 10) / 48, rel=1e-12)


def test_an_answer_that_is_no_number_is_wrong():
    nan = float("nan")
    task = Turnstile(T=6, most=3)
    batch = task.batch(40, seeded())
    assert task.score(torch.full((6, 40, 1), nan), batch) == 0
    answers = (20 * batch.targets - 10)[..., None]
    answers[2] = nan
    assert task.score(answers, batch) == pytest.approx(5 / 6)
    order = TemporalOrder(10)
    batch = order.batch(40, seeded())
    assert order.score(torch.full((40, 4), nan), batch) == 0


def test_counting_steps_alone_beats_always_giving_one_answer_at_the_turnstile():
    # what `chance` is not, as its description says
    task = Turnstile(20)
    batch = task.batch(20_000, seeded())
    by_step = (batch.targets.mean(1, keepdim=True) - 0.5).expand(20, 20_000)[..., None]
    assert task.score(by_step, batch) > task.chance + 0.1


def test_temporal_order_as_the_paper_says_it_sequence_by_sequence():
    T = 100
    batch = TemporalOrder(T).batch(500, seeded())
    assert torch.equal(batch.inputs.sum(-1), torch.ones(T, 500))
    firsts, seconds = set(), set()
    for b in range(500):
        text = "".join(SYMBOLS[k] for k in batch.inputs[:, b].argmax(-1).tolist())
        assert text[0] == "E"
        assert text[-1] == "B"
        at = [t for t, symbol in enumerate(text) if symbol in "XY"]
        assert len(at) == 2
        assert 10 <= at[0] <= 20 < 50 <= at[1] <= 60
        assert CLASSES[int(batch.targets[b])] == text[at[0]] + text[at[1]]
        firsts.add(at[0])
        seconds.add(at[1])
    assert firsts == set(range(10, 21))  # both ends included
    assert seconds == set(range(50, 61))


def test_the_turnstile_opens_at_the_second_coin_and_stays_open():
    batch = Turnstile(T=12, most=5).batch(300, seeded())
    counts = set()
    for b in range(300):
        coins = 0
        for t in range(12):
            came = batch.inputs[t, b].tolist()
            assert came in ([0, 0], [1, 0], [0, 1])
            coins += int(sum(came))
            assert float(batch.targets[t, b]) == (coins >= 2)
        counts.add(coins)
    assert counts == set(range(6))


@pytest.mark.parametrize(("T", "most"), [(5, 5), (6, 3), (4, 1)])
def test_the_turnstiles_chance_by_going_through_all_cases(T, most):
    shares = []
    for n in range(most + 1):
        places = list(combinations(range(T), n))
        is_open = sum(sum(t >= at[1] for t in range(T)) for at in places if n >= 2)
        shares.append(Fraction(is_open, len(places) * T))
    q = sum(shares) / len(shares)
    assert Turnstile(T, most).chance == pytest.approx(float(max(q, 1 - q)), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Adding(19), "T: expected at least 20 steps, got 19"),
        (lambda: TemporalOrder(9), "T: expected at least 10 steps, got 9"),
        (lambda: Turnstile(3, most=4), "T: expected at least 4 steps, one for each coin, got 3"),
        (lambda: Turnstile(3, most=0), "most: expected at least 1 coin, got 0"),
    ],
)
def test_sizes_that_no_task_can_have(make, says):
    with pytest.raises(InputError, match=says):
        make()


def test_adding_tells_how_many_answers_are_near():
    task = Adding(20)
    batch = task.batch(4, seeded())
    off = torch.tensor([0.0, 0.039, -0.039, 0.041])
    assert task.details((batch.targets + off)[:, None], batch) == {"nearer than 0.04": 0.75}


def test_temporal_order_tells_which_of_the_two_symbols_was_right():
    task = TemporalOrder(20)
    batch = task.batch(400, seeded())
    swapped = torch.tensor([2, 3, 0, 1])[batch.targets]  # the other first symbol
    told = task.details(torch.eye(4)[swapped], batch)
    assert told == {"first symbol": 0.0, "second symbol": 1.0}
    told = task.details(torch.full((400, 4), float("nan")), batch)
    assert told == {"first symbol": 0.0, "second symbol": 0.0}


def test_the_turnstile_tells_how_many_visits_were_right_throughout():
    task = Turnstile(20)
    batch = task.batch(10, seeded())
    answers = (2 * batch.targets - 1)[..., None]
    answers[3, 2] *= -1
    assert task.details(answers, batch) == {"sequences": 0.9}
