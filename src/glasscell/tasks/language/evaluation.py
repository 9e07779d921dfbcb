"""How well a model predicts a text: bits per character, perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from glasscell.errors import UserError
from glasscell.tasks.language.model import LanguageModel, State
from glasscell.tasks.language.vocabulary import Text, UnknownCharacters, Vocabulary, as_bytes

CHUNK = 128  # steps a call: bounds the memory that logits take
WARM_UP = 512  # tokens that a stream reads, unscored, before its own stretch; whole CHUNKs
STRETCH = 16_384  # tokens that a stream scores at least: few begin in the middle of the text


@dataclass(frozen=True)
class Score:
    """What a model made of a text.

    Attributes:
        nats: -log p of all predicted tokens, summed.
        tokens: how many were predicted: all but the first, which nothing comes before.
        characters: how many characters those are.
        words: how many words those are, at levels that know words.
        skipped: unknown characters that were left out.
    """

    nats: float
    tokens: int
    characters: int
    words: int | None = None
    skipped: int = 0

    @property
    def bits_per_character(self) -> float:
        """Comparable between all levels: whatever the tokens are, they spell the same text."""
        return self.nats / math.log(2) / self.characters

    @property
    def bits_per_token(self) -> float:
        return self.nats / math.log(2) / self.tokens

    @property
    def perplexity(self) -> float:
        """exp of the mean -log p of a word, spelled-out words counted once; of a token where
        the level does not know words."""
        return math.exp(min(700.0, self.nats / (self.words or self.tokens)))

    def as_dict(self) -> dict[str, float | int | None]:
        """All figures by name."""
        return {
            "bits_per_character": self.bits_per_character,
            "bits_per_token": self.bits_per_token,
            "perplexity": self.perplexity,
            **asdict(self),
        }


def evaluate(
    model: LanguageModel,
    vocabulary: Vocabulary,
    text: Text | Iterable[Text],
    *,
    streams: int | None = None,
    skip_unknown: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Score:
    """Scores a text of any length in bounded memory.

    Args:
        text: the text, or its blocks one after the other (see `text_blocks`).
        streams: how many stretches of the text are read side by side. 1 reads straight through
            with the state carried from the first token to the last. More is many times faster;
            each stretch is preceded by the 512 tokens that come before it, read to warm up the
            state but not scored, so the figure is nearly the same (`glasscell evaluate` with and
            without `--streams 1` shows how nearly). By default 1 for short texts and up to 32
            for long ones.
        skip_unknown: leave characters out that the model has never seen, and count them.
        progress: called after each block with its length, in bytes of UTF-8.

    Raises:
        UnknownCharacters: the text holds characters that the model has never seen.
        UserError: the text has fewer than two tokens.
    """
    blocks = [text] if isinstance(text, str | bytes) else text
    scorer = _Scorer(model.eval(), streams)
    characters = skipped = 0
    words: int | None = None
    first: int | None = None
    for block in _whole_pieces(vocabulary, _told(blocks, progress)):
        if unknown := vocabulary.unknown(block):
            if not skip_unknown:
                raise UnknownCharacters(unknown)
            assert isinstance(block, str)
            kept = block.translate({ord(c): None for c in unknown})
            skipped += len(block) - len(kept)
            block = kept
        tokens = vocabulary.encode(block)
        if not len(tokens):
            continue
        if first is None:
            first = int(tokens[0])
        characters += vocabulary.characters(block)
        block_words = vocabulary.words(block)
        words = words if block_words is None else (words or 0) + block_words
        scorer.add(tokens)
    scorer.finish()
    if first is None or scorer.count < 1:
        raise UserError("the text is too short to score: it has fewer than two tokens")
    # The first token is read, not predicted: what it spells does not count.
    characters -= vocabulary.characters(vocabulary.decode([first]))
    words = None if words is None else max(1, words - 1)
    return Score(scorer.nats, scorer.count, max(1, characters), words, skipped)


def _told(blocks: Iterable[Text], progress: Callable[[int], None] | None) -> Iterator[Text]:
    """The blocks; tells of each once the next is asked for: by then it has been scored, but for
    what the scorer still gathers."""
    for block in blocks:
        yield block
        if progress is not None:
            progress(len(as_bytes(block)))


def _whole_pieces(vocabulary: Vocabulary, blocks: Iterable[Text]) -> Iterator[Text]:
    """The blocks, cut again where no token is split between two."""
    held: Text | None = None
    for block in blocks:
        whole, held = vocabulary.cut(block if held is None else held + block)  # type: ignore[operator]
        yield whole
    if held is not None:
        yield held


class _Scorer:
    """Sums -log p over tokens that come in pieces of any size."""

    def __init__(self, model: LanguageModel, streams: int | None) -> None:
        if streams is not None and streams < 1:
            raise UserError(f"streams: expected at least 1, got {streams}")
        self.model = model
        self.streams = streams or 32
        self.nats = 0.0
        self.count = 0
        self.before = torch.empty(0, dtype=torch.long)  # (<= WARM_UP + 1,) the last tokens scored
        self.carried: State | None = None  # the state after all but the last of them, if known
        self.pending: list[Tensor] = []  # (N,) each: taken, not yet scored
        self.n_pending = 0

    def add(self, tokens: Tensor) -> None:
        """Takes the next tokens (N,) of the text."""
        block = STRETCH * self.streams
        self.pending.append(tokens)
        self.n_pending += len(tokens)
        while self.n_pending >= block:
            waiting = torch.cat(self.pending)  # (N,)
            self._score(waiting[:block].long())
            self.pending = [waiting[block:]]
            self.n_pending = len(self.pending[0])

    def finish(self) -> None:
        if self.n_pending:
            self._score(torch.cat(self.pending).long())

    @torch.inference_mode()
    def _score(self, tokens: Tensor) -> None:
        if len(self.before) < WARM_UP + 1:
            # The beginning of the text has nothing to warm up on: it is read straight through.
            self._straight(tokens[:STRETCH])
            tokens = tokens[STRETCH:]
        streams = min(self.streams, len(tokens) // STRETCH)
        if streams > 1 or self.carried is None:
            self._side_by_side(tokens, max(1, streams))
        else:
            self._straight(tokens)

    def _straight(self, tokens: Tensor) -> None:
        """Scores tokens (N,), going on from the carried state."""
        text = torch.cat((self.before[-1:], tokens)).view(-1, 1)  # (1 + N, 1); at the start (N, 1)
        for start in range(0, len(text) - 1, CHUNK):
            targets = text[start + 1 : start + 1 + CHUNK]  # (T, 1)
            inputs = text[start : start + len(targets)]  # (T, 1)
            losses, self.carried = self._step(inputs, targets, self.carried)
            self._count(losses)
        self._remember(tokens)

    def _side_by_side(self, tokens: Tensor, streams: int) -> None:
        """Scores tokens (N,) in stretches, each warmed up on what comes before it."""
        if not len(tokens):
            return
        text = torch.cat((self.before[-WARM_UP - 1 :], tokens))  # (WARM_UP + 1 + N,)
        width = -(-len(tokens) // streams)  # tokens that each stream reads after its warming up
        # Places in `tokens`, (B,) each: `own`, the first token that a stream scores, and `begin`,
        # where it has warmed up. They differ at the end of the text, where a whole width no
        # longer fits: a stream there begins earlier, on tokens that the one before it scores.
        own = torch.arange(streams) * width
        begin = own.clamp(max=len(tokens) - width)
        state: State | None = None
        for t in range(-WARM_UP, width, CHUNK):
            places = begin + torch.arange(t, min(t + CHUNK, width)).view(-1, 1)  # (T, B), predicted
            scored = places >= own  # (T, B)
            places = places + WARM_UP  # in `text`, the token that is read
            losses, state = self._step(text[places], text[places + 1], state)  # (T, B)
            self._count(losses[scored.to(losses.device)])
        self.carried = None
        self._remember(tokens)

    def _step(self, inputs: Tensor, targets: Tensor, state: State | None) -> tuple[Tensor, State]:
        """-log p of each target (T, B), and the state after them."""
        logits, after = self.model(inputs.to(self.model.device), state)  # (T, B, V)
        losses = F.cross_entropy(
            logits.flatten(0, 1).float(), targets.to(logits.device).flatten(), reduction="none"
        )  # (T B,)
        return losses.view(targets.shape), after

    def _count(self, losses: Tensor) -> None:
        self.nats += losses.cpu().double().sum().item()
        self.count += losses.numel()

    def _remember(self, tokens: Tensor) -> None:
        self.before = torch.cat((self.before, tokens))[-WARM_UP - 1 :]
