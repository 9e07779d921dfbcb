"""Which engine runs a call, and why: one table, fastest first."""

from dataclasses import dataclass

from glasscell.engines.call import Call, Engine
from glasscell.engines.fused import TorchEngine
from glasscell.engines.reference import ReferenceEngine
from glasscell.errors import EngineError

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (TorchEngine(), ReferenceEngine())}


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
        return next(engine for engine in ENGINES.values() if engine.refuses(call) is None)
    engine = ENGINES[asked_for]
    if refusal := engine.refuses(call):
        raise EngineError(f'engine="{asked_for}" cannot run this call: {refusal}')
    return engine


def explain(call: Call, asked_for: str = "auto") -> Choice:
    """The same choice with the reasons, and without raising."""
    refusals = {name: engine.refuses(call) for name, engine in ENGINES.items()}
    if asked_for == "auto":
        return Choice(choose(call).name, asked_for, refusals)
    return Choice(asked_for if refusals[asked_for] is None else None, asked_for, refusals)
