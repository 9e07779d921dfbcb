"""A model under torch.compile beside the same model as it is."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

import glasscell
from glasscell.bench.agreement import Answer
from glasscell.bench.comparison import Comparison, Peer
from glasscell.bench.scale import Scale

V = 256  # characters
BATCHES, SIZES = (1, 32), (128, 512)


class Tagger(nn.Module):
    """Embedding, LSTM, linear: (T, B) numbers of characters to (T, B, V) scores."""

    def __init__(self, H: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, H)
        self.lstm = glasscell.LSTM(H, H)
        self.output = nn.Linear(H, V)

    def forward(self, characters: Tensor) -> Tensor:
        return self.output(self.lstm(self.embedding(characters))[0])


def whole_models(scale: Scale) -> Iterator[Comparison]:
    """Inference and training of a compiled model, beside the eager one."""
    for B, H in scale.grid(BATCHES, SIZES):
        for trained in (False, True):
            yield _compiled(B, H, scale.T, trained)


def _compiled(B: int, H: int, T: int, trained: bool) -> Comparison:
    eager = Tagger(H)
    compiled = torch.compile(eager, fullgraph=True)
    characters = torch.randint(V, (T, B))

    def peer(name: str, model) -> Peer:
        def run() -> Tensor:
            with torch.set_grad_enabled(trained):
                scores = model(characters)
                if trained:
                    eager.zero_grad()
                    nn.functional.cross_entropy(
                        scores.flatten(0, 1), characters.flatten()
                    ).backward()
            return scores

        def answer() -> Answer:
            scores = run()
            grads = {n: p.grad for n, p in eager.named_parameters() if p.grad is not None}
            return Answer({"scores": scores}, grads)

        return Peer(name, run, answer)

    plain = peer("eager", eager)
    return Comparison(
        case=f"B {B:<3} H {H:<4} {'training' if trained else 'inference'}",
        ours=peer("compiled", compiled),
        rivals=(plain,),
        expected=plain.answer,
        shape={"B": B, "H": H, "T": T},
        engine=eager.lstm.explain_engine(eager.embedding(characters)).engine,
    )
