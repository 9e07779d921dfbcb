"""Models to trace: layers of both libraries, alone and inside others."""

from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

import glasscell

LAYERS = {
    f"{library.__name__}.{name}": (library, cls, dict(options))
    for library in (glasscell, nn)
    for name, cls, options in (
        ("LSTM", "LSTM", {}),
        ("LSTM-nobias", "LSTM", {"bias": False}),
        ("LSTM-projected", "LSTM", {"proj_size": 2}),
        ("GRU", "GRU", {}),
        ("RNN", "RNN", {}),
        ("RNN-relu", "RNN", {"nonlinearity": "relu"}),
    )
}
LAYOUTS = ("dense", "batch_first", "unbatched", "packed", "packed-unsorted")
LENGTHS = [3, 1, 6, 3, 5]


def make(name: str, *sizes: int, **options) -> Any:
    library, cls, more = LAYERS[name]
    return getattr(library, cls)(*(sizes or (3, 4)), **more, **options)


def input_in(layout: str, x: torch.Tensor):
    """x (6, 5, 3) in one of the layouts, and its sequences' lengths in the caller's order."""
    if layout == "batch_first":
        return x.transpose(0, 1), [6] * 5
    if layout == "unbatched":
        return x[:, 0], [6]
    if layout == "packed":
        lengths = sorted(LENGTHS, reverse=True)
        return pack_padded_sequence(x, torch.tensor(lengths)), lengths
    if layout == "packed-unsorted":
        return pack_padded_sequence(x, torch.tensor(LENGTHS), enforce_sorted=False), LENGTHS
    return x, [6] * 5


class Tagger(nn.Module):
    """A model as people write them: an embedding, two recurrent layers, a head."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 3)
        self.encoder = encoder
        self.stack = nn.ModuleDict({"decoder": decoder})
        self.head = nn.Linear(4, 2)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x, _ = self.encoder(self.embedding(tokens))
        x, _ = self.stack["decoder"](x)
        return self.head(x)


class Loop(nn.Module):
    """A one-step cell in a hand-written loop."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        state, outputs = None, []
        for x_t in x:
            state = self.cell(x_t, state)
            outputs.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(outputs)
