"""The network set by hand, and one visit to the turnstile, step by step."""

from __future__ import annotations

import torch
from torch import Tensor

from glasscell.explaining import Check, Equation, Heading, Matrix, Piece, Prose, Table, number
from glasscell.tasks.classic import SequenceModel
from glasscell.tasks.classic.turnstile import COINS, PRICE
from glasscell.tracing import trace

VISIT = ("copper", None, "silver", None, "copper")  # what is put in, step by step
NOTHING = "nothing"


def by_hand(model: SequenceModel) -> list[Piece]:
    """The network set by hand, and one visit to the turnstile, step by step."""
    x = torch.tensor([[float(coin == kind) for kind in COINS] for coin in VISIT])  # (T, 2)
    with torch.no_grad(), trace(model) as seen:
        answers = model(x[:, None])[:, 0, 0]
    layer = seen["rnn.l0"]
    h = layer.sequence("hidden")  # (T, 2)
    before = torch.cat((torch.zeros(1, 2), h[:-1]))
    rows = [
        [
            t,
            coin or NOTHING,
            _pair(x[t]),
            _pair(before[t]),
            _pair(layer.sequence("pre.hidden")[t]),
            _pair(h[t]),
            f"{float(answers[t]):+.1f}",
            "open" if answers[t] > 0 else "shut",
        ]
        for t, coin in enumerate(VISIT)
    ]
    shown = ["step", "put in", "$x_t$", "$h_{t-1}$", "$W x_t + U h_{t-1}$", "$h_t$", "answer", ""]
    sums = bool(torch.equal(layer.sequence("pre.hidden"), x + before))
    return [
        Heading("Set by hand"),
        Prose(
            f"A turnstile opens once {PRICE} coins are in, copper or silver. A network that "
            "watches it sees one step at a time: a copper coin is (1, 0), a silver coin (0, 1), "
            "nothing (0, 0). To answer at every step whether it is open, it has to remember what "
            "came before. Two units are enough, and no training at all:"
        ),
        Equation(
            r"h_t = \operatorname{relu}(W x_t + U h_{t-1})",
            "a simple RNN, with no bias",
        ),
        Matrix("W", model.rnn.weight_ih_l0, reason="2 units out, 2 kinds of coin in"),
        Matrix("U", model.rnn.weight_hh_l0, reason="2 units out, 2 units in"),
        Prose(
            "Both are the identity. $U$ carries each unit's number over to the next step as it "
            "is, and $W$ adds 1 to the unit whose coin has come. Nothing is ever below zero, so "
            "relu changes nothing. The answer is "
            f"$h_1 + h_2 - {number(PRICE - 0.5)}$: above zero means open."
        ),
        Table(shown, rows, align="rlrrrrrl", caption="One visit."),
        Check("At every step, what goes into relu is $x_t + h_{t-1}$", holds=sums),
        Check(
            f"The last hidden state is the number of coins of each kind: {_pair(h[-1])}",
            holds=bool(torch.equal(h[-1], x.sum(0))),
        ),
    ]


def _pair(values: Tensor) -> str:
    return f"({', '.join(number(float(v)) for v in values)})"
