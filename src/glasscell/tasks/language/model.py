"""The language model: embedding, recurrent layers, output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from glasscell.errors import InputError, UserError
from glasscell.nn.lines import LayerLine
from glasscell.tasks.models import LARGEST

# What is carried from one call to the next: (h, c) for an LSTM, h for a GRU; each (L, B, H), and
# (L, B, C*H) where a cell carries more than its cell state.
State = Tensor | tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LanguageModelConfig:
    """The architecture of a `LanguageModel`.

    Attributes:
        vocabulary: V, the number of tokens.
        cell: the recurrent layer in one line: "lstm", "gru", "peephole", "lstm+zoneout=0.1", ...
            (`glasscell.nn.lines`). Where the line says nothing else, the gate that keeps an LSTM's
            state begins open.
        hidden: H, units a layer.
        layers: L, stacked layers.
        embedding: size of a token's embedding.
        dropout: fraction dropped, in training, of the embedding, between layers and before the
            output (the non-recurrent connections, as Zaremba et al. 2014).
        tied: the output uses the embedding's weights (Press & Wolf 2017). Where `embedding`
            differs from `hidden`, a linear projection without bias stands between.
    """

    vocabulary: int
    cell: str = "lstm"
    hidden: int = 256
    layers: int = 1
    embedding: int = 64
    dropout: float = 0.0
    tied: bool = False

    def __post_init__(self) -> None:
        try:
            LayerLine.read(self.cell)
        except InputError as error:
            raise UserError(str(error)) from None
        for name in ("vocabulary", "hidden", "layers", "embedding"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected at least 1, got {getattr(self, name)}")
            if getattr(self, name) > LARGEST:
                raise UserError(f"{name}: expected at most {LARGEST}, got {getattr(self, name)}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"dropout: expected a fraction in [0, 1), got {self.dropout}")

    @property
    def layer(self) -> LayerLine:
        """The recurrent layer."""
        return LayerLine.read(self.cell).opened


class LanguageModel(nn.Module):
    """Predicts the next token from all before it.

    The recurrent layers are `self.rnn`, so a trace of the model names them "rnn.l0", "rnn.l1", ...
    A cell that adds x_t itself to its units (mut1, mut2) reads it through a linear map of its size.
    """

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        V, E, H, L = config.vocabulary, config.embedding, config.hidden, config.layers
        self.embedding = nn.Embedding(V, E)
        self.dropout = nn.Dropout(config.dropout)
        between = config.dropout if L > 1 else 0.0
        self.map, self.rnn = config.layer.mapped(E, H, L, dropout=between)
        self.projection = nn.Linear(H, E, bias=False) if config.tied and E != H else nn.Identity()
        # With tied weights the output is a product with the embedding: only its bias is its own.
        self.output = None if config.tied else nn.Linear(H, V)
        self.output_bias = nn.Parameter(torch.zeros(V)) if config.tied else None
        self._initialise()

    def _initialise(self) -> None:
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        if self.output is not None:
            nn.init.zeros_(self.output.bias)

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Scores of the next token at each step.

        Args:
            tokens: ids (T, B), any integer type.
            state: what an earlier call returned, to go on from there; None begins anew.

        Returns:
            logits (T, B, V) and the state after the last step.
        """
        x = self.dropout(self.embedding(tokens.long()))  # (T, B, E)
        h, last = self.rnn(self.map(x), state)  # (T, B, H)
        h = self.projection(self.dropout(h))
        if self.output is not None:
            return self.output(h), last
        return F.linear(h, self.embedding.weight, self.output_bias), last

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device


def detach(state: State) -> State:
    """The state as plain numbers: gradients end here."""
    if isinstance(state, Tensor):
        return state.detach()
    return state[0].detach(), state[1].detach()


def state_tensors(state: State) -> tuple[Tensor, ...]:
    """The state as a tuple of tensors (L, B, H), whatever the cell."""
    return (state,) if isinstance(state, Tensor) else state


def state_from_tensors(tensors: tuple[Tensor, ...]) -> State:
    """The inverse of `state_tensors`."""
    return tensors[0] if len(tensors) == 1 else (tensors[0], tensors[1])
