"""A recorded run of a layer as the map of its state sees it.

A trace tells what the input added to each step without the input itself: it is what the
pre-activations hold besides what comes from the state.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.nn.utils.rnn import PackedSequence

from glasscell.analysis.finite import expect_finite
from glasscell.analysis.state_space.layer_weights import equations_of
from glasscell.analysis.state_space.step_map import StepMap, as_double
from glasscell.analysis.without_chance import expect_no_chance
from glasscell.cells import Weights
from glasscell.engines import Packing
from glasscell.errors import InputError
from glasscell.tracing import LayerTrace, Trace


@dataclass(frozen=True, eq=False)
class DrivenRun:
    """A recorded run of one layer as its map sees it, in packed tokens and float64.

    Attributes:
        map: the layer's step.
        trace: what was recorded.
    """

    map: StepMap
    trace: LayerTrace

    def __post_init__(self) -> None:
        trace = self.trace
        if trace.edits:
            raise self._edited()
        expect_no_chance(trace.name, trace.definition, trace.noise)
        states = torch.cat([v for v in (trace.record.h, trace.record.c) if v is not None], -1)
        self._expect_finite("states", states)

    @classmethod
    def of(
        cls,
        model: nn.Module | Weights,
        run: Tensor | PackedSequence | LayerTrace,
        layer: str | None = None,
    ) -> "DrivenRun":
        """A run from its trace, or from the input that the model is to read.

        Args:
            model: any module with a recurrent layer in it; of a traced run its weights will do.
            run: a recorded layer, or the model's input.
            layer: with an input, which layer to look at, by the name it has in a trace.

        Raises:
            InputError: no such layer; a run under an edit, one that chance had a part in, or one
                that is not finite.
        """
        if not isinstance(run, LayerTrace):
            if isinstance(model, Weights):
                raise InputError("model: expected a module that reads an input, got weights")
            name = equations_of(model, layer).name
            with torch.no_grad(), Trace(model, layers=name) as trace:
                model(run)
            run = trace[name]
        elif layer is not None and layer != run.name:
            raise InputError(f"layer: expected {run.name!r}, which was recorded, got {layer!r}")
        return cls(StepMap.of(model, run), run)

    @property
    def packing(self) -> Packing:
        return self.trace.layout.packing

    @cached_property
    def after(self) -> Tensor:
        """(N, S) the state after each token."""
        return self.map.states(self.trace.record.h, self.trace.record.c)

    @cached_property
    def before(self) -> Tensor:
        """(N, S) the state that each token's step started from."""
        initial = self.map.states(self.trace.h_0, self.trace.c_0)
        return self.packing.previous(self.after, initial, self.trace.reverse)

    @cached_property
    def drive(self) -> Tensor:
        """(N, G*H) what each token's input added to the pre-activations."""
        pre = torch.stack(
            [self.trace.tokens(f"pre.{gate.name}") for gate in self.trace.gate_maps], -2
        )
        pre = as_double(pre).flatten(-2)  # (N, G*H)
        self._expect_finite("pre-activations", pre)
        drive = torch.zeros_like(pre)
        # A pre-activation is its drive plus what the state and gates before it make. So the first
        # pass is right for gates that read no other gate, and the second for those that read them
        # (a GRU's candidate, an output gate with a peephole).
        step = vmap(lambda d, s: self.map.step(d, s).pre.flatten(-2))
        for _ in range(2):
            drive = drive + pre - step(drive, self.before)
        self._check(drive)
        return drive

    def _check(self, drive: Tensor) -> None:
        """Raises where the states do not follow from the pre-activations: somebody set them."""
        off = (self.map(drive, self.before) - self.after).abs().max()
        rounding = 1e3 * torch.finfo(self.trace.record.h.dtype).eps
        if off > min(rounding, 0.1) * (1 + self.after.abs().max()):
            raise self._edited()

    def _expect_finite(self, what: str, values: Tensor) -> None:
        trace = self.trace
        expect_finite(trace.name, what, values, trace.layout, reverse=trace.reverse)

    def _edited(self) -> InputError:
        return InputError(
            f"{self.trace.name}: expected a run of the layer as it is, got one whose gates or "
            "states were edited, or whose weights were dropped in training, which a step of the "
            "layer does not lead to"
        )
