"""States of several processes: one checkpoint, whoever reads it."""

import torch

from glasscell.training import shards


def test_gathered_states_are_in_the_order_of_the_streams(monkeypatch):
    states = (torch.randn(2, 6, 5), torch.randn(2, 6, 5))
    parts = [shards.own_states(states, rank, 3) for rank in range(3)]
    assert [p[0].shape for p in parts] == [(2, 2, 5)] * 3
    for k in range(2):
        monkeypatch.setattr(
            shards, "gather", lambda own, world, k=k: torch.stack([p[k] for p in parts])
        )
        (gathered,) = shards.gather_states((parts[0][k],), 3)
        assert torch.equal(gathered, states[k])


def test_one_process_has_it_all():
    states = (torch.randn(2, 4, 5),)
    assert torch.equal(shards.gather_states(states, 1)[0], states[0])
    assert torch.equal(shards.own_states(states, 0, 1)[0], states[0])
