"""The model of the guided example: an embedding, one small LSTM, an output."""

from __future__ import annotations

from torch import Tensor, nn

from glasscell.nn import LSTM
from glasscell.tasks.forget_gates import start_forget_gate
from glasscell.tasks.france.language import VOCABULARY


class WordModel(nn.Module):
    """Predicts the next word of the language from all words before it.

    The layer is `self.lstm`, so a trace of the model names it "lstm.l0".

    Args:
        hidden: H, units.
        embedding: E, numbers that stand for a word.
    """

    def __init__(self, hidden: int = 32, embedding: int = 16) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(VOCABULARY), embedding)
        self.lstm = LSTM(embedding, hidden)
        self.output = nn.Linear(hidden, len(VOCABULARY))
        start_forget_gate(self.lstm, 1.0)

    def forward(self, words: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Scores of the next word at each step.

        Args:
            words: ids (T, B).
            lengths: (B,) words of each sentence; all T if absent.

        Returns:
            (T, B, V) logits.
        """
        h, _ = self.lstm(self.embedding(words), lengths=lengths)  # (T, B, H)
        return self.output(h)
