"""The sentences that judge: each is chosen by what was measured, and holds its numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence

from glasscell.explaining import percent
from glasscell.stories.turnstile.counters import Counter
from glasscell.tasks.classic import Turnstile
from glasscell.tasks.classic.turnstile import PRICE

TELLS = 0.8  # an R^2 from which on a direction tells the number
COUNTS_ON = 0.5  # what each further coin must add to a reading that goes on counting
KEPT, LOST = 0.9, 0.6  # AUCs: from the first on a kind is kept apart, up to the second it is not
DRIFTS = 0.1  # a hidden state that moves further than this while nothing happens drifts
RIGHT = 0.99  # of the steps, from which on nothing is called wrong


def do_they_count(hand: Counter, trained: Sequence[Counter]) -> str:
    """What the directions read after more coins than the price, and what can be concluded."""
    most = len(hand.reading) - 1
    listed = ", ".join(f"the {c.name} {float(c.reading[-1]):.2f}" for c in trained)
    says = [
        f"The network set by hand reads {float(hand.reading[-1]):.2f} after {most} coins. "
        f"Those that learned: {listed}."
    ]
    blind = [c for c in trained if not c.to_price >= TELLS]
    clear = [c for c in trained if c not in blind]
    on = [c for c in clear if _growth(c) >= COUNTS_ON]
    stop = [c for c in clear if abs(_growth(c)) < COUNTS_ON and _stays_enough(c)]
    other = [c for c in clear if c not in on and c not in stop]
    if stop:
        says.append(
            f"Along this direction {listed_with(stop, 'tells', 'tell')} none, one, and "
            f"**enough**: each coin after the price adds {_range([_growth(c) for c in stop])} to "
            "the reading. Those coins make no difference to the answer, so nothing taught "
            "counting on."
        )
        rests = [c.beyond for c in stop]
        says.append(
            "Another direction, fitted on the coins from the price on, tells their number with an "
            f"$R^2$ of {_range(rests)}."
        )
    if on:
        says.append(
            f"{_capital(listed_with(on, 'goes', 'go'))} on counting beyond the price, though "
            f"nothing asks for it: each further coin adds {_range([_growth(c) for c in on])}."
        )
    if other:
        readings = [float(r) for c in other for r in c.reading[PRICE:]]
        says.append(
            f"After the price {listed_with(other, 'reads', 'read')} {_range(readings)}: neither "
            "a count nor enough."
        )
    if blind:
        scores = _range([c.to_price for c in blind])
        says.append(
            f"In {names(blind)} no straight direction tells even 0 to {PRICE} coins well "
            f"($R^2$ {scores}), so what one reads there after more coins says nothing."
        )
    return " ".join([*says, _kinds(trained)])


def _growth(counter: Counter) -> float:
    """What each coin after the price adds to the reading, on average."""
    after = counter.reading[PRICE:]
    return float(after[-1] - after[0]) / (len(after) - 1)


def _stays_enough(counter: Counter) -> bool:
    """Whether the reading stays nearer to the price than to fewer coins, or to all of them."""
    after = counter.reading[PRICE:]
    most = len(counter.reading) - 1
    return float(after.min()) >= PRICE - 0.5 and float(after.max()) <= (PRICE + most) / 2


def _kinds(trained: Sequence[Counter]) -> str:
    told = ", ".join(f"the {c.name} {c.kind:.2f}" for c in trained)
    says = (
        "Do they keep copper and silver apart? From the step after the first coin on, and before "
        f"the second, a direction tells its kind with an AUC of: {told} (0.5 is chance)"
    )
    if kept := [c for c in trained if c.kind >= KEPT]:
        keep = listed_with(kept, "does", "do")
        return f"{says}. So {keep}, though the answer does not depend on it."
    if all(c.kind <= LOST for c in trained):
        return f"{says}. So none does: the answer does not depend on it."
    return f"{says}. So none does it well: the answer does not depend on it."


def how_far(hand: Counter, trained: Sequence[Counter]) -> str:
    """How the longest sequences are told."""
    chance = Turnstile(hand.lengths[-1]).chance
    says = (
        f"At {hand.lengths[-1]:,} steps the network set by hand tells {percent(hand.right[-1])} "
        "right"
    )
    good = [c for c in trained if c.right[-1] >= RIGHT]
    rest = sorted((c for c in trained if c not in good), key=lambda c: -c.right[-1])
    if good:
        says += ", and so do, or nearly so: " + _shares(good)
    says += (f". The others: {_shares(rest)}" if good else f"; {_shares(rest)}") if rest else ""
    if below := [c for c in rest if c.right[-1] < chance]:
        says += (
            f". Always giving the same answer gets {percent(chance)}: "
            f"{listed_with(below, 'does', 'do')} worse than that"
        )
    return says + "."


def why(hand: Counter, trained: Sequence[Counter]) -> str:
    """Where they go wrong, and whether they stand still."""
    seen, T = hand.lengths[0], hand.lengths[-1]
    wrong = [c for c in trained if min(c.with_coins) < RIGHT]
    says = []
    if not wrong:
        says.append("They hold what they have counted, as long as that was tried.")
    early = [c for c in wrong if max(_mistaken(c)[:PRICE]) > 1 - RIGHT]
    late = [c for c in wrong if _mistaken(c)[PRICE] > 1 - RIGHT]
    if early:
        alone = "itself" if len(early) == 1 else "themselves"
        says.append(
            f"Before the second coin has come, {listed_with(early, 'opens', 'open')} by {alone} "
            "at times."
        )
    if late:
        says.append(f"With enough coins in, {listed_with(late, 'is', 'are')} shut at times.")
    for c in trained:
        if max(c.overflowed) > 0:
            shares = ", ".join(percent(share) for share in c.overflowed)
            says.append(
                f"In the {c.name} numbers grow until they overflow, and then its answer is none: "
                f"at {shares} of these steps. That counts as wrong."
            )
    if moving := [c for c in trained if c.drift > DRIFTS]:
        says.append(
            f"Without a single coin, {listed_with(moving, 'still moves', 'still move')} after "
            f"step {seen}{_endlessly(moving, T)}: in training nothing lasted longer than "
            f"{seen} steps, so nothing taught standing still."
        )
        if hand.drift == 0:
            says.append("With the identity matrix nothing changes at all.")
    return " ".join(says)


def _mistaken(counter: Counter) -> list[float]:
    """The shares of steps with an answer that is wrong, by the coins so far."""
    pairs = zip(counter.with_coins, counter.overflowed, strict=True)
    return [1 - right - lost for right, lost in pairs]


def _endlessly(moving: Sequence[Counter], T: int) -> str:
    endless = [c for c in moving if math.isinf(c.drift)]
    if not endless:
        return ""
    return f" ({names(endless)} beyond what numbers can hold, before step {T:,})"


def names(counters: Sequence[Counter]) -> str:
    """The networks, as one names them in a sentence."""
    *most, last = [f"the {each.name}" for each in counters]
    return f"{', '.join(most)} and {last}" if most else last


def listed_with(counters: Sequence[Counter], one: str, several: str) -> str:
    """The networks with a verb."""
    return f"{names(counters)} {one if len(counters) == 1 else several}"


def _shares(counters: Sequence[Counter]) -> str:
    return ", ".join(f"the {each.name} {percent(each.right[-1])}" for each in counters)


def _range(values: Sequence[float]) -> str:
    low, high = (f"{value:.2f}".replace("-", "−") for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
