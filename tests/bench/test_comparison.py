"""The harness: answers are checked, peers take turns, and what is wrong is not timed."""

import time

import torch

from glasscell.bench import Comparison, Peer
from glasscell.bench.agreement import Answer, disagreement

RIGHT = Answer({"output": torch.tensor([1.0, -2.0])}, {"x": torch.tensor([4.0])})


def peer(name, seconds=0.0, output=(1.0, -2.0), calls=None):
    def run():
        if calls is not None:
            calls.append(name)
        time.sleep(seconds)

    return Peer(name, run, lambda: Answer({"output": torch.tensor(output)}))


def measure(ours, *rivals, **options):
    return Comparison("case", ours, rivals, lambda: RIGHT, **options).measure(0.0, 3)


def test_peers_take_turns():
    calls = []
    row = measure(peer("a", 0.02, calls=calls), peer("b", 0.02, calls=calls), calls=1)
    assert "".join(calls).endswith("abbaab")
    assert row.times["a"].turns == 3
    assert 0.02 <= row.times["a"].lower <= row.times["a"].median <= row.times["a"].upper


def test_short_calls_are_timed_together():
    row = measure(peer("a"), peer("b"), calls=50)
    assert row.times["a"].calls == 50
    assert measure(peer("a"), peer("b")).times["a"].calls > 1


def test_a_rival_that_computes_something_else_is_left_out():
    row = measure(peer("a"), peer("b", output=(1.0, -2.1)), peer("c"))
    assert list(row.times) == ["a", "c"]
    assert row.left_out == {"b": "output is off by 5.0e-02 of its size, allowed 1e-05"}
    assert row.fastest == "c"


def test_ours_is_not_timed_if_it_is_wrong():
    row = measure(peer("a", output=(float("nan"), 0.0)), peer("b"))
    assert row.times == {}
    assert row.wrong is not None
    assert row.ratio is None


def test_disagreement():
    assert disagreement(RIGHT, RIGHT, torch.float32) is None
    assert disagreement(Answer({}), RIGHT, torch.float32) == "there is nothing to compare"
    other = Answer(RIGHT.values, {"x": torch.tensor([4.1])})
    told = disagreement(other, RIGHT, torch.float32)
    assert told is not None
    assert told.startswith("the gradient of x is off")
    shape = disagreement(Answer({"output": torch.zeros(3)}), RIGHT, torch.float32)
    assert shape == "output has shape (3,), expected (2,)"
    coarse = Answer({"output": torch.tensor([1.0, -2.02])})
    assert disagreement(coarse, RIGHT, torch.bfloat16) is None


def test_threads_of_one_case_are_put_back():
    before, seen = torch.get_num_threads(), []
    ours = Peer("a", lambda: seen.append(torch.get_num_threads()))
    row = Comparison("case", ours, (), threads=2).measure(0.0, 1)
    assert set(seen) == {2}
    assert row.threads == 2
    assert torch.get_num_threads() == before
