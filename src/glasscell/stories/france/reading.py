"""The model of the story: trained, and traced while it reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glasscell.tasks.france import ID, France, Sentence, WordModel, encoded, encoded_words
from glasscell.tasks.france.language import NOUNS, POSSESSIVES
from glasscell.tracing import LayerTrace, trace
from glasscell.training.generated import GeneratedRecipe, GeneratedRun, train_generated

LAYER = "lstm.l0"
HELD_OUT_SEED = 2  # of the held-out sentences that everything is measured on


@dataclass(frozen=True, eq=False)
class Trained:
    """The model, what it was trained on, and how that went.

    Attributes:
        model: in evaluation mode.
        task: with the sentences of the training, and which combinations are held out.
        run: of the training.
        seed: of the weights and of the order of the sentences.
    """

    model: WordModel
    task: France
    run: GeneratedRun
    seed: int

    def held_out(self, count: int) -> list[Sentence]:
        """Sentences of combinations that training never saw."""
        return self.task.language.sentences(count, HELD_OUT_SEED, held_out=True)


def trained(seed: int = 0, steps: int = 2500, sentences: int = 30_000) -> Trained:
    """Draws the sentences and trains the model.

    Args:
        seed: of the weights and of the order of the sentences.
        steps: updates, of 64 sentences each.
        sentences: how many are drawn to train on.
    """
    torch.manual_seed(seed)
    model, task = WordModel(), France(sentences)
    recipe = GeneratedRecipe(
        steps=steps, batch=64, learning_rate=5e-3, decay=True, every=max(1, steps // 5), seed=seed
    )
    run = train_generated(model, task, recipe)
    return Trained(model.requires_grad_(False), task, run, seed)


@dataclass(frozen=True, eq=False)
class Read:
    """What the model did with some sentences.

    Attributes:
        words: ids (T, B); lengths: (B,).
        layer: every gate and state.
        log_p: (T, B, V) of the next word after each step.
    """

    words: Tensor
    lengths: Tensor
    layer: LayerTrace
    log_p: Tensor


def read(model: WordModel, sentences: Sequence[Sequence[str]]) -> Read:
    """Traces the model while it reads sentences, given by their words."""
    batch = encoded_words(sentences)
    with torch.no_grad(), trace(model) as seen:
        logits = model(batch.inputs, lengths=batch.lengths)
    return Read(batch.inputs, batch.lengths, seen[LAYER], logits.log_softmax(-1))


def shares_right(trained: Trained, count: int = 1000) -> dict[str, float]:
    """Over held-out sentences: the share of foods and drinks, and of her, his and their, that
    were the likeliest word where they came.
    """
    batch = encoded(trained.held_out(count))
    with torch.no_grad():
        likeliest = trained.model(batch.inputs, lengths=batch.lengths).argmax(-1)  # (T, B)
    shares = {}
    for name, words in (("foods and drinks", NOUNS), ("her, his, their", POSSESSIVES)):
        due = torch.isin(batch.targets, torch.tensor([ID[word] for word in words]))
        if name == "her, his, their":  # "the" is as likely in the second clause
            due &= torch.cumsum(due, 0) == 1
        shares[name] = float((likeliest == batch.targets)[due].double().mean())
    return shares
