"""Everything that is compared, and what the project promises of it: one table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from glasscell.bench.comparison import Case, Row
from glasscell.bench.goals import Goal, Measure
from glasscell.bench.scale import Scale
from glasscell.bench.works import (
    compiling,
    editing,
    importing,
    inference,
    keeping,
    language,
    scaling,
    streaming,
    sweep,
    tracing,
    training,
    variants,
)


@dataclass(frozen=True)
class Work:
    """One kind of work: a table of its own, and one verdict.

    Attributes:
        group: the name under which it is asked for.
        name: what is done, in words.
        against: whom it is held against.
        cases: what is measured, one row each.
        goal: what is promised; None if the figures are only to be seen.
        worst: how many rows a table shows, the worst first; all in their order if absent.
        has_runtimes: whether ONNX Runtime and OpenVINO compete where they are installed.
        budget: the part of the time for a comparison that a row of this one gets.
        summary: what to say of all rows together.
        rates: whether a table shows tokens and operations a second, too.
    """

    group: str
    name: str
    against: str
    cases: Callable[[Scale], Iterator[Case]]
    goal: Goal | None = None
    worst: int | None = None
    has_runtimes: bool = False
    budget: float = 1.0
    summary: Callable[[Sequence[Row]], list[str]] | None = None
    rates: bool = False


BEST = "the best of torch.nn, ONNX Runtime and OpenVINO"

WORKS: tuple[Work, ...] = (
    Work(
        "training",
        "Training step, LSTM, float32, every gate kept",
        "nn.LSTM",
        training.float32,
        Goal(mean=1.3, each=1.05, aim=1.5),
    ),
    Work(
        "training-bf16",
        "Training step, LSTM, bfloat16, every gate kept",
        "nn.LSTM in bfloat16",
        training.bfloat16,
        Goal(mean=1.4, aim=1.8),
    ),
    Work(
        "inference",
        "Inference, LSTM, float32, batches of 16 and more",
        BEST,
        inference.batched,
        Goal(each=0.95, aim=1.1),
        has_runtimes=True,
    ),
    Work(
        "single",
        "Inference, LSTM, one sequence, float32 and bfloat16",
        BEST,
        inference.single,
        Goal(mean=1.5, aim=2.5),
        has_runtimes=True,
    ),
    Work(
        "ragged",
        "Inference, LSTM, ragged batch, mean length 55 % of T",
        "nn.LSTM given a PackedSequence, as ours is",
        inference.ragged,
        Goal(mean=2.5, aim=3.5),
    ),
    Work(
        "ragged",
        "Training step, LSTM, ragged batch, mean length 55 % of T",
        "nn.LSTM given a PackedSequence, as ours is",
        training.ragged,
        Goal(mean=2.5, aim=4.0),
    ),
    Work("others", "Training step, GRU", "nn.GRU", training.gru, Goal(mean=2.0, aim=3.0)),
    Work(
        "others",
        "Training step, LSTM projected to H / 2",
        "nn.LSTM with proj_size",
        training.projection,
        Goal(mean=2.0, aim=3.0),
    ),
    Work(
        "others",
        "Training step, LSTM, float64",
        "nn.LSTM in float64",
        training.float64,
        Goal(mean=2.0, aim=3.0),
    ),
    Work(
        "keeping",
        "Inference that keeps every gate of every step",
        "a Python loop of cells that collects them",
        keeping.gates,
        Goal(mean=8.0, aim=15.0),
    ),
    Work(
        "keeping",
        "Inference with a record, beside inference without",
        "ourselves",
        keeping.recorded,
        Goal(mean=1.15, aim=1.05, measure=Measure.times),
    ),
    Work(
        "streaming",
        "One streamed step from Python",
        "a call of nn.LSTM on one step",
        streaming.steps,
        Goal(mean=6.0, aim=10.0),
    ),
    Work(
        "peephole",
        "Training step, peephole LSTM, every gate kept",
        "a Python loop that keeps none",
        variants.peephole_training,
        Goal(mean=8.0, aim=12.0),
    ),
    Work(
        "variants",
        "Variants of the LSTM",
        "the plain LSTM",
        variants.lstms,
        Goal(each=1.15, measure=Measure.times),
        budget=0.5,
        rates=True,
    ),
    Work(
        "variants",
        "Variants of the GRU, and simple RNNs",
        "the plain GRU and the plain LSTM, the faster of the two",
        variants.others,
        Goal(each=1.15, measure=Measure.times),
        budget=0.5,
        rates=True,
    ),
    Work(
        "variants",
        "Layer norm",
        "the plain LSTM, or the plain GRU",
        variants.normalised,
        Goal(each=1.5, measure=Measure.times),
        budget=0.5,
        rates=True,
    ),
    Work(
        "variants",
        "Chance within an LSTM, in training mode",
        "the same LSTM without",
        variants.chance,
        Goal(each=1.15, measure=Measure.times),
        budget=0.5,
        rates=True,
    ),
    Work(
        "variants",
        "Variants, in batches",
        "a Python loop",
        variants.beside_loops,
        Goal(mean=6.0),
        budget=0.5,
        rates=True,
    ),
    Work(
        "variants",
        "Variants, one sequence",
        "a Python loop, whose time is Python's",
        variants.beside_loops_alone,
        budget=0.5,
        rates=True,
    ),
    Work(
        "sweep",
        'LSTM of many shapes, engine "auto"',
        "nn.LSTM",
        sweep.shapes,
        Goal(each=0.9),
        worst=10,
        budget=0.25,
    ),
    Work(
        "scaling",
        f"How inference grows from B {scaling.B}, H {scaling.H}, T 100",
        "nn.LSTM",
        scaling.inference,
        budget=0.5,
        summary=scaling.growth,
    ),
    Work(
        "scaling",
        f"How a training step grows from B {scaling.B}, H {scaling.H}, T 100",
        "nn.LSTM",
        scaling.training,
        budget=0.5,
        summary=scaling.growth,
    ),
    Work(
        "compile",
        "Embedding, LSTM and linear under torch.compile",
        "the same model as it is",
        compiling.whole_models,
        Goal(mean=0.98),  # no slower: 2 % for the clock
    ),
    Work(
        "tracing",
        "An unmodified nn.LSTM, traced",
        "a Python loop that collects the gates",
        tracing.black_box,
        Goal(each=1.0),
    ),
    Work(
        "editing",
        "LSTM with edits inside the recurrence",
        "the same layer without",
        editing.edited,
        Goal(each=1.3, measure=Measure.times),
    ),
    Work(
        "importing",
        "What importing adds",
        "nothing",
        importing.beyond_torch,
        Goal(mean=0.3, measure=Measure.seconds),
    ),
    Work(
        "language",
        "Training a language model",
        "a plain PyTorch loop with nn.LSTM",
        language.training_runs,
        Goal(mean=0.9),
    ),
)

GROUPS: tuple[str, ...] = tuple(dict.fromkeys(work.group for work in WORKS))
