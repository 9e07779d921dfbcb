"""What the networks learned, as prose, tables and figures: every number is from the run, and
chooses what is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from glasscell import plots
from glasscell.explaining import Heading, Piece, Prose, Table, number, percent
from glasscell.stories.drawing import figure
from glasscell.stories.turnstile import verdicts
from glasscell.stories.turnstile.counters import Counter
from glasscell.tasks.classic import Turnstile
from glasscell.tasks.classic.turnstile import COINS, PRICE


def learned(counters: Sequence[Counter]) -> list[Piece]:
    """Those that learned it, on sequences like those of the training."""
    trained = [each for each in counters if each.run is not None]
    first = trained[0].run
    assert first is not None
    units, T = trained[0].model.head.in_features, counters[0].lengths[0]
    rows = [
        [
            each.name,
            each.run.steps,
            each.run.recipe.batch,
            percent(each.run.score),
            number(each.run.cpu_seconds, 2),
        ]
        for each in trained
        if each.run is not None
    ]
    failed = [e.name for e in trained if e.run is not None and not e.run.reached]
    says = (
        "All of them have learned it. "
        if not failed
        else f"Within {first.recipe.steps:,} updates this was not learned by: {', '.join(failed)}. "
    )
    return [
        Heading("Learned"),
        Prose(
            f"Now {len(trained)} networks with {units} units each learn the same from examples: "
            f"visits of {T} steps in which 0 to {Turnstile.most} coins come. Always saying what "
            f"is more often true gets {percent(Turnstile(T).chance)} of the "
            f"steps right. Training stops at 99.9 % (seed {first.recipe.seed})."
        ),
        Table(
            ["network", "updates", "sequences each", "steps told right", "processor seconds"],
            rows,
            align="lrrrr",
        ),
        Prose(says + "But have they learned to count?"),
    ]


def counting(counters: Sequence[Counter]) -> list[Piece]:
    """What each network's hidden state says of the number of coins."""
    rows = [
        [
            each.name,
            *(f"unit {unit}: {r:+.3f}" for unit, r in each.coins),
            f"{each.to_price:.3f}",
            f"{each.beyond:.3f}",
        ]
        for each in counters
    ]
    most = len(counters[0].reading) - 1
    return [
        Heading("Do they count?"),
        Prose(
            "For each kind of coin, the unit whose value follows its number best, and its "
            "correlation with it. Then all units together: how well a straight direction of the "
            "hidden state tells the number of all coins, as $R^2$ (1 is exact, 0 is no better "
            f"than the mean): up to the price of {PRICE}, and from there on."
        ),
        Table(
            [
                "network",
                *(f"follows {coin}" for coin in COINS),
                f"$R^2$ of 0 to {PRICE} coins",
                f"$R^2$ of {PRICE} to {most}",
            ],
            rows,
            align="lrrrr",
        ),
        figure(
            plots.courses,
            {each.name: each.reading.tolist() for each in counters},
            list(range(most + 1)),
            across="coins that have come",
            up="coins read off the hidden state",
            caption=f"What a direction that was fitted on 0 to {PRICE} coins reads after more.",
            alt="Lines over the number of coins; at the end: "
            + ", ".join(f"{each.name} {float(each.reading[-1]):.2f}" for each in counters),
        ),
        Prose(verdicts.do_they_count(counters[0], counters[1:])),
    ]


def longer(counters: Sequence[Counter]) -> list[Piece]:
    """The same networks on sequences longer than any they were trained on."""
    hand, *trained = counters
    lengths = hand.lengths
    return [
        Heading("Longer visits"),
        Prose(
            "The same networks, without further training, on longer sequences with as many coins "
            "and more steps at which nothing happens."
        ),
        Table(
            ["network", *(f"{T:,} steps" for T in lengths)],
            [[each.name, *(percent(share) for share in each.right)] for each in counters],
            align="l" + "r" * len(lengths),
            caption="Steps told right; each length on 300 sequences.",
        ),
        figure(
            plots.courses,
            {each.name: each.right for each in counters},
            list(lengths),
            across="steps (log scale)",
            up="share of steps told right",
            logarithmic=True,
            caption="How far what was learned reaches.",
            alt="Lines over the length; at the longest: "
            + ", ".join(f"{each.name} {percent(each.right[-1])}" for each in counters),
        ),
        Prose(verdicts.how_far(hand, trained)),
        Prose(
            f"Where do they go wrong? Of the {lengths[-1]:,} steps, by the coins so far. And "
            f"beside it, how far the hidden state moves from step {lengths[0]} to step "
            f"{lengths[-1]:,} if no coin comes at all."
        ),
        Table(
            [
                "network",
                *(f"{k} coin{'' if k == 1 else 's'}" for k in range(PRICE)),
                "enough",
                "moves by",
            ],
            [
                [each.name, *(percent(share) for share in each.with_coins), number(each.drift, 3)]
                for each in counters
            ],
            align="l" + "r" * (PRICE + 2),
            caption="Steps told right, and the distance.",
        ),
        Prose(verdicts.why(hand, trained)),
    ]
