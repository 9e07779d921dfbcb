"""What every classic task has, beyond batches, a loss and a score."""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from glasscell.tasks.generated import Detailed, GeneratedTask


class ClassicTask(GeneratedTask, Detailed, Protocol):
    """A task of the table `TASKS`: a frozen dataclass of whole numbers, the first of them T.

    Attributes:
        measure: what the score is, in words: "sequences right".
        input_size, output_size: numbers read and answered at a step.
        every_step: whether there is an answer at every step, or one at the end.
        T: steps of the longest sequence; of `copy`, the steps to wait.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def T(self) -> int: ...

    @property
    def measure(self) -> str: ...

    @property
    def input_size(self) -> int: ...

    @property
    def output_size(self) -> int: ...

    @property
    def every_step(self) -> bool: ...
