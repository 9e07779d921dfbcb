"""The language, the model and the walk, as prose, tables and figures."""

from __future__ import annotations

from glasscell import plots
from glasscell.explaining import Heading, Items, Piece, Prose, Table, literal, number, percent
from glasscell.stories.drawing import figure
from glasscell.stories.france.reading import Read, Trained, shares_right
from glasscell.stories.france.walking import Event, Word
from glasscell.tasks.france import COUNTRIES, EXAMPLE, VOCABULARY, written


def about_the_language(trained: Trained) -> list[Piece]:
    samples = trained.task.sentences[:3]
    return [
        Heading("A language in which we know everything"),
        Prose(
            "To see what an LSTM remembers, one has to know what there is to remember. So these "
            "sentences come from a small grammar. The **country** decides the food and the drink. "
            "The **subject** decides between her, his and their. Then some sentences go on with "
            "`because` and stay with the same people; others go on with `but` and bring new ones: "
            "once these are named, nothing depends on the first ones any more."
        ),
        Items([literal(written(each.words)) for each in (EXAMPLE, *samples)]),
        Table(
            ["country", "food", "drink"],
            [list(country) for country in COUNTRIES],
        ),
        Prose(
            f"There are {len(VOCABULARY)} words. Training sees {len(trained.task.sentences):,} "
            "sentences. One in five combinations of country, first people and verb is held out: "
            "training never sees it. Everything below is measured on such sentences alone, but for "
            "one search near the end, which goes by sentences of the training; what it finds is "
            "then tried on others. The example is held out too."
        ),
    ]


def about_the_training(trained: Trained) -> list[Piece]:
    run, right = trained.run, shares_right(trained)
    parameters = sum(p.numel() for p in trained.model.parameters())
    H = trained.model.lstm.hidden_size
    return [
        Heading("A model small enough to look through"),
        Prose(
            f"An embedding of {trained.model.embedding.embedding_dim} numbers a word, one LSTM of "
            f"{H} units, and a linear output: {parameters:,} parameters. It was trained to guess "
            f"the next word, {run.steps:,} updates of {run.recipe.batch} sentences, in "
            f"{number(run.cpu_seconds, 2)} seconds of processor time (seed {trained.seed})."
        ),
        Table(
            ["on held-out sentences, the likeliest word was right", "share"],
            [[name, percent(share)] for name, share in right.items()],
            align="lr",
        ),
    ]


def the_walk(seen: Read, words: list[Word]) -> list[Piece]:
    tokens = [each.word for each in words]

    def told(event: Event | None) -> str:
        if event is None:
            return "nothing yet"
        return f"{event.unit}: {event.amount:+.2f} ({event.gate:.2f})"

    def expected(word: Word) -> str:
        return ", ".join(f"{literal(each)} {p:.0%}" for each, p in word.expected if p >= 0.005)

    rows = [
        [
            literal(each.word),
            told(each.written),
            told(each.forgotten),
            told(each.shown),
            expected(each),
        ]
        for each in words
    ]
    but = next(each for each in words if each.word == EXAMPLE.joint)
    lost = but.forgotten
    assert lost is not None
    pieces: list[Piece] = [
        Heading("Word by word"),
        Prose(
            "At each word the **input gate** $i$ lets the candidate $g$ in, the **forget gate** "
            "$f$ keeps a part of the old cell state, and the **output gate** $o$ shows a part of "
            "the new one. Here are, at each word, the unit into which most was written, how much "
            "($i g$) and how open its gate was; the unit that lost most of what it held "
            "($(1-f) c$); and the one that shows most ($h$)."
        ),
        Table(
            ["word", "written ($i$)", "lost ($f$)", "shown ($o$)", "expects"],
            rows,
            caption="Unit: amount (gate).",
        ),
        Prose(
            f"Look at `{but.word}`: unit {lost.unit} held {_held(lost)} and loses {_of_it(lost)}. "
            "More of that below."
        ),
    ]
    looks = {
        "input_gate": "Where a column is green, the word was written into many units.",
        "forget_gate": "A pale cell is a unit that drops what it held at this word.",
        "output_gate": "Violet units show what they hold to the output and to the other gates.",
        "cell": "What the units hold: red above zero, blue below.",
    }
    for quantity, caption in looks.items():
        pieces.append(
            figure(
                plots.gate_heatmap,
                seen.layer,
                quantity,
                tokens=tokens,
                caption=caption,
                alt=f"A heat map: {quantity.replace('_', ' ')} of every unit at every word.",
            )
        )
    return pieces


def _held(lost: Event) -> str:
    return f"{lost.amount / (1 - lost.gate):+.2f}"


def _of_it(lost: Event) -> str:
    return f"{percent(1 - lost.gate)} of it"
