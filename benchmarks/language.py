"""Training a language model: `train_text` against a plain PyTorch loop of the same size."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from glasscell import train_text
from glasscell.tasks.language import default_corpus

B, T, E, H = 32, 64, 64, 256
FEW, MANY = 10, 110  # steps of a short and a long run: what they differ by is training alone


def tokens_per_second(rounds: int = 5) -> tuple[float, float]:
    """Ours and the plain loop's, medians over `rounds` in which they take turns.

    Start-up and the last validation, which the plain loop does not have, cancel: a rate is that
    of the steps by which a long run is longer than a short one.
    """
    rates: dict[Callable[[int], float], list[float]] = {_ours: [], _plain: []}
    for run in rates:
        run(FEW)
    for _ in range(rounds):
        for run, found in rates.items():
            seconds = run(MANY) - run(FEW)
            found.append((MANY - FEW) * B * T / seconds)
    return statistics.median(rates[_ours]), statistics.median(rates[_plain])


def _ours(steps: int) -> float:
    start = time.perf_counter()
    train_text(
        text=default_corpus(), steps=steps, batch=B, chunk=T, embedding=E, hidden=H, progress=False
    )
    return time.perf_counter() - start


class _Plain(nn.Module):
    def __init__(self, V: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, E)
        self.lstm = nn.LSTM(E, H)
        self.output = nn.Linear(H, V)

    def forward(self, tokens: torch.Tensor, state):
        h, state = self.lstm(self.embedding(tokens), state)
        return self.output(h), state


def _plain(steps: int) -> float:
    text = default_corpus()
    start = time.perf_counter()
    alphabet = {character: i for i, character in enumerate(sorted(set(text)))}
    ids = torch.tensor([alphabet[character] for character in text])
    streams = ids[: len(ids) // B * B].view(B, -1).t().contiguous()  # (S, B)
    model = _Plain(len(alphabet))
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    state = None
    for k in range(steps):
        first = k * T % (len(streams) - T - 1)
        x, y = streams[first : first + T], streams[first + 1 : first + T + 1]
        logits, state = model(x, state)
        state = tuple(s.detach() for s in state)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    return time.perf_counter() - start
