"""The reference engine: any cell, step by step, in plain torch. Readable, complete, slow.

Its backward is backpropagation through time, written out in `through_time`. Under a function
transform the same steps run unrolled, and the transform differentiates them; as does autograd where
a person wrote the step, which may learn what is no weight of the cell, and draw random numbers.
"""

import torch
from torch import Tensor

from glasscell.cells import Custom
from glasscell.engines.boundary import bounded
from glasscell.engines.call import Call, Record, StepGradients, Steps
from glasscell.engines.observed import observed
from glasscell.engines.precision import in_one_dtype
from glasscell.engines.through_time import gradients, through_time
from glasscell.engines.transforms import active_transform
from glasscell.engines.unrolled import unrolled


class ReferenceEngine:
    name = "reference"

    def refuses(self, call: Call) -> str | None:
        return None

    def run(self, call: Call) -> Record:
        device = call.x.device.type
        if torch.is_autocast_enabled(device):
            call = in_one_dtype(call)
            with torch.autocast(device, enabled=False):
                return self.run(call)
        by_autograd = isinstance(call.cell, Custom)
        is_unrolled = by_autograd or active_transform(call.tensors())
        steps = unrolled(call) if is_unrolled else bounded(call, self)
        record = Record.of(call, steps.h, steps.c, steps.gates, steps.pre)
        return observed(call, record) if by_autograd else record

    def forward(self, call: Call) -> Steps:
        return unrolled(call)

    def backward(
        self, call: Call, steps: Steps, grads: Steps, needed: tuple[bool, ...], of_steps: bool
    ) -> tuple[tuple[Tensor | None, ...], StepGradients | None]:
        d = through_time(call, steps, grads)
        return gradients(call, steps, d), d.of_steps

    def step_gradients(self, call: Call, steps: Steps, grads: Steps) -> StepGradients:
        return through_time(call, steps, grads).of_steps

    def step(self, call: Call) -> tuple[Tensor, Tensor | None]:
        if call.edits or call.noise is not None:
            record = self.run(call)
            return record.h, record.c_n
        after = call.cell.step(call.x, call.h_0, call.c_0, call.weights)
        return after.h, after.c
