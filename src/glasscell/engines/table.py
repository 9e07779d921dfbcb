"""Which engine runs a call, and why: one table, fastest first."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from glasscell.engines.call import Call, Engine
from glasscell.engines.fused import TorchEngine
from glasscell.engines.native import NativeEngine, one_stepper
from glasscell.engines.reference import ReferenceEngine
from glasscell.engines.scan import ScanEngine
from glasscell.errors import EngineError

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (NativeEngine(), TorchEngine(), ScanEngine(), ReferenceEngine())
}


@dataclass(frozen=True)
class Choice:
    """The engine that runs a call, and what stands against each of the others.

    Attributes:
        engine: its name; None where the one asked for cannot.
        asked_for: "auto", or the name the caller gave.
        refusals: for every engine, in order of preference, why it cannot run the call, or None.
    """

    engine: str | None
    asked_for: str
    refusals: dict[str, str | None]

    def __str__(self) -> str:
        if self.engine is None:
            lines = [f"nothing runs it: {self.asked_for} was asked for by name and cannot"]
        elif self.asked_for != "auto":
            lines = [f"{self.engine} runs it: it was asked for by name"]
        else:
            lines = [f"{self.engine} runs it: the fastest engine that can"]
        for name, refusal in self.refusals.items():
            verdict = "can run it" if refusal is None else f"cannot: {refusal}"
            lines.append(f"  {name:<10} {verdict}")
        return "\n".join(lines)


def choose(call: Call, asked_for: str = "auto") -> Engine:
    """Picks an engine. A name that is asked for runs or raises; only "auto" picks another.

    Raises:
        EngineError: the engine asked for cannot run this call.
    """
    if asked_for == "auto":
        for engine in ENGINES.values():
            if engine.refuses(call) is None:
                return engine
        raise AssertionError("the reference runs everything")
    engine = ENGINES[asked_for]
    if refusal := engine.refuses(call):
        raise EngineError(f'engine="{asked_for}" cannot run this call: {refusal}')
    return engine


def choose_for_one_step(call: Call, asked_for: str = "auto") -> Engine:
    """The same for a one-step module, whose whole work is about what finding packed weights takes:
    "auto" takes PyTorch's operation where there is one.
    """
    torch_engine = ENGINES["torch"]
    if asked_for == "auto" and torch_engine.refuses(call) is None:
        return torch_engine
    return choose(call, asked_for)


def explain(call: Call, asked_for: str = "auto") -> Choice:
    """The same choice with the reasons, and without raising."""
    refusals = {name: engine.refuses(call) for name, engine in ENGINES.items()}
    if asked_for == "auto":
        engine = choose(call).name
    else:
        engine = asked_for if refusals[asked_for] is None else None
    return Choice(engine, asked_for, refusals)


def stepper(calls: list[Call], asked_for: str = "auto") -> Callable[[Tensor], Tensor] | None:
    """What takes one step of stacked layers without looking anything up, or None if nothing does.

    Args:
        calls: one step of each layer; their states h_0 and c_0 are moved on in place.

    Returns:
        A function from x (B, I) to the last layer's h (B, P).
    """
    native = ENGINES["native"]
    if asked_for not in ("auto", native.name) or any(native.refuses(call) for call in calls):
        return None
    if any(call.noise is not None and call.noise.acts_on(call.cell) for call in calls):
        return None
    return one_stepper(calls)
