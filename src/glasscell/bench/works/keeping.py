"""What it costs to keep every gate: beside the loop that people write for it, and beside not."""

from collections.abc import Iterator

from torch import Tensor

from glasscell.bench.comparison import Comparison
from glasscell.bench.loops import Looped
from glasscell.bench.passes import OURS, exact, inference, keep_gates
from glasscell.bench.scale import Scale
from glasscell.bench.subjects import Subject, with_gates

BATCHES, SIZES = (1, 32), (128, 256, 512)


def gates(scale: Scale) -> Iterator[Comparison]:
    """Inference that keeps every gate of every step, beside a loop of cells that collects them."""
    for kind in ("LSTM", "GRU"):
        for B, H in scale.grid(BATCHES, SIZES):
            yield _beside_loop(Subject(B, H, scale.T, kind=kind))


def recorded(scale: Scale) -> Iterator[Comparison]:
    """Our inference with a record of everything, beside ours without."""
    for B, H in scale.grid(BATCHES, SIZES):
        subject = Subject(B, H, scale.T)
        ours, theirs = subject.layers()
        recording, _ = subject.layers()
        recording.load_state_dict(theirs.state_dict())
        gates = keep_gates(recording)
        x = subject.input()
        assert isinstance(x, Tensor)
        right = inference("torch.nn, float64", exact(theirs), x.double())
        yield Comparison(
            case=subject.case,
            ours=inference("recorded", recording, x, gates),
            rivals=(inference("unrecorded", ours, x),),
            expected=with_gates(right, theirs, x),
            shape=subject.shape,
            flops=subject.flops,
            engine=ours.explain_engine(x).engine,
        )


def _beside_loop(subject: Subject) -> Comparison:
    ours, theirs = subject.layers()
    x = subject.input()
    assert isinstance(x, Tensor)
    our_gates = keep_gates(ours)
    loop, right = Looped(theirs), Looped(exact(theirs))
    return Comparison(
        case=f"{subject.kind:<4} {subject.case}",
        ours=inference(OURS, ours, x, our_gates),
        rivals=(inference("Python loop", loop, x, lambda: loop.gates),),
        expected=inference("loop, float64", right, x.double(), lambda: right.gates).answer,
        shape=subject.shape,
        flops=subject.flops,
        engine=ours.explain_engine(x).engine,
    )
