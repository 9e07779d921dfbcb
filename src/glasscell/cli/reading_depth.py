"""What a report shows besides the recorded run, where it takes little time: kicks and gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glasscell.analysis import KickSurvival, Predictions, SurpriseFlow
    from glasscell.cli.reading import Reading
    from glasscell.tracing import LayerTrace

WINDOW = 128  # tokens of which every surprise is followed back
LARGEST_FLOW = 4e11  # multiplications, about 10 s for one core
KICK_WINDOW = 128  # steps that a kick is followed
MOST_KICKS = 8  # places of the text at which each unit is kicked
LARGEST_KICKS = 3e10  # multiplications, about 2 s for one core


def kicks_of(reading: Reading) -> dict[str, KickSurvival]:
    """Kicks to each layer's units: at fewer places, or of fewer units, where it would take long."""
    from glasscell.analysis import kick_survival, swings
    from glasscell.errors import InputError

    found: dict[str, KickSurvival] = {}
    layers = [(layer.name, layer) for _, layer in reading.trace.items()]
    if len(reading.ids) < 4:
        return found
    window = min(KICK_WINDOW, len(reading.ids) // 2)
    for name, layer in layers:
        one = window * _weights(layer)  # multiplications for one unit's kick at one place
        budget = LARGEST_KICKS / len(layers)
        times = int(max(1, min(MOST_KICKS, budget // (one * layer.hidden_size))))
        many = int(max(1, min(layer.hidden_size, budget // (one * times))))
        units = None
        if many < layer.hidden_size:
            units = sorted(swings(layer).argsort(descending=True)[:many].tolist())
        try:
            found[name] = kick_survival(
                reading.model.model, layer, units=units, window=window, times=times
            )
        except InputError:  # a layer that has no step of its own to run: the part is left out
            continue
    return found


def _weights(layer: LayerTrace) -> int:
    return len(layer.gate_maps) * layer.hidden_size * layer.record.h.shape[-1]


def flow_of(reading: Reading, predicted: Predictions) -> SurpriseFlow | str:
    """How every surprise of a window reaches back; or, in a sentence, why it is not known."""
    import torch

    from glasscell.analysis import surprise_flow
    from glasscell.errors import InputError
    from glasscell.tasks.language.model import state_from_tensors, state_tensors

    T = len(reading.ids)
    if T < 2:
        return "A single token has no past for its surprise to reach back to."
    if any(layer.edits for _, layer in reading.trace.items()):
        return "Gradients are followed back in runs without edits only."
    start, end = window_around(predicted.surprise.tolist())
    network = reading.model.model
    weights = sum(_weights(layer) for _, layer in reading.trace.items())
    while end - start > 2 and 4 * weights * (end - start) ** 2 > LARGEST_FLOW:
        start, end = (start + end) // 2, end  # what is nearest to the surprise stays
    ids = reading.ids[start:end].to(network.device)
    state = None
    if start:
        with torch.no_grad():
            _, state = network(reading.ids[:start, None].to(network.device))

    def read(tokens: torch.Tensor) -> torch.Tensor:
        if state is None:
            return network(tokens)[0]
        many = tokens.shape[1]
        copies = (s.expand(-1, many, -1).contiguous() for s in state_tensors(state))
        return network(tokens, state_from_tensors(tuple(copies)))[0]

    try:
        return surprise_flow(network, ids, read, start=start)
    except InputError as error:
        return f"There are no gradients to show. {error}"


def window_around(surprise: list[float]) -> tuple[int, int]:
    """(start, end) of at most `WINDOW` tokens: the most surprising one, with three quarters of the
    window before it where the text has so many.
    """
    T = len(surprise)
    if T <= WINDOW:
        return 0, T
    before = WINDOW * 3 // 4
    # Among tokens with a past as long as the window wants, if the text has any.
    first = before if before < T - 1 else 1
    most = max(range(first, T), key=lambda t: surprise[t])
    start = max(0, min(most - before, T - WINDOW))
    return start, start + WINDOW
