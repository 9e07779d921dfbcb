"""Workloads with something wrong."""

from copy import copy
from typing import Any


def altered(workload, **changes) -> Any:
    """A workload with another validation, or another loss."""
    other = copy(workload)
    for name, change in changes.items():
        setattr(other, name, change)
    return other


class BadLoss:
    """A feed whose losses are too large from the fifth update on."""

    def __init__(self, feed):
        self.feed, self.n = feed, 0

    def loss(self, model):
        self.n += 1
        return self.feed.loss(model) * (float("inf") if self.n >= 5 else 1.0)
