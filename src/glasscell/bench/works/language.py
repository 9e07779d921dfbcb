"""Training a language model: `train_text` against a plain PyTorch loop of the same size."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from glasscell.bench.comparison import Row, Times
from glasscell.bench.scale import Scale

B, T, E, H = 32, 64, 64, 256
FEW = 10  # steps of the short run


def training_runs(scale: Scale) -> Iterator["Runs"]:
    """A character model, trained by `train_text` and by a loop that does no more than it must."""
    yield Runs(steps=20 if scale.few else 100)


@dataclass(frozen=True)
class Runs:
    """Two whole training runs, ours and plain, at each turn.

    Start-up and the last validation, which the plain loop does not have, cancel: what is timed is
    by how much a long run takes longer than a short one.

    Attributes:
        steps: by how many steps the long run is longer.
    """

    steps: int

    @property
    def case(self) -> str:
        return f"B {B}  H {H}  T {T}, {self.steps} steps"

    def measure(self, budget: float, rounds: int) -> Row:
        seconds: dict[str, list[float]] = {"train_text": [], "plain loop": []}
        runs = {"train_text": _ours, "plain loop": _plain}
        for run in runs.values():
            run(FEW)
        for _ in range(rounds):
            for name, run in runs.items():
                seconds[name].append(self._longer_by(run))
        times = {name: Times.of(each) for name, each in seconds.items()}
        rate = self.steps * B * T / times["train_text"].median
        shape = {"B": B, "H": H, "T": T}
        return Row(self.case, times, shape=shape, note=f"{rate:,.0f} tokens a second")

    def _longer_by(self, run: Callable[[int], float]) -> float:
        return max(run(FEW + self.steps) - run(FEW), 1e-9)


def _ours(steps: int) -> float:
    from glasscell.tasks.language import default_corpus
    from glasscell.training import train_text

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
    from glasscell.tasks.language import default_corpus

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
