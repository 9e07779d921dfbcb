"""An edit as plain data: what is changed where, to be written down, shared and played again."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from glasscell.errors import InputError
from glasscell.files import write_file
from glasscell.nn.edits import LayerEdit, Way
from glasscell.nn.indices import Index, check_index

if TYPE_CHECKING:
    from glasscell.tracing.editing import Editing

FORMAT = "glasscell edits 1"
WAYS: tuple[Way, ...] = ("set", "scale", "add")
Value = float | Tensor


@dataclass(frozen=True, eq=False)
class Edit:
    """One change inside a layer's recurrence. What follows in the run sees it.

    Attributes:
        layer: the layer's name in the model, "encoder.l0", as in a trace; or a pattern of several,
            "encoder.*".
        quantity: what is changed: a gate, the candidate, "cell" or "hidden".
        units, steps, batch: which units, time steps and sequences: a number, several, a slice, or
            None for all. Steps are those of the layer's input, in both directions; negative ones
            count from each sequence's own end. In a model that calls a one-step cell they count
            the calls since the edit began.
        set, scale, add: one of them: what the quantity becomes, what it is multiplied with, or what
            is added to it. A number, or a tensor that broadcasts to (steps, batch, units) in the
            layer's own layout; along each of these it holds one number, one for each chosen, or one
            for each there is. A recorded quantity of another run, as it is, fits.

    Raises:
        InputError: none or several of set, scale, add; a scale that is no number.
        TypeError: what is no index, or no number.
    """

    layer: str
    quantity: str
    units: Index = None
    steps: Index = None
    batch: Index = None
    set: Value | None = None
    scale: Value | None = None
    add: Value | None = None

    def __post_init__(self) -> None:
        for name in ("layer", "quantity"):
            if not isinstance(getattr(self, name), str):
                given = type(getattr(self, name)).__name__
                raise TypeError(f"{name}: expected a name, got {given}")
        for name in ("units", "steps", "batch"):
            object.__setattr__(self, name, check_index(getattr(self, name), name))
        given = [way for way in WAYS if getattr(self, way) is not None]
        if len(given) != 1:
            raise InputError(
                f"set, scale, add: expected one of them, got {' and '.join(given) or 'none'}"
            )
        value = _checked_value(getattr(self, given[0]), given[0])
        object.__setattr__(self, given[0], value)
        if self.scale is not None and bool(torch.as_tensor(value).isnan().any()):
            raise InputError("scale: expected numbers, got NaN")

    @property
    def way(self) -> Way:
        """Which of set, scale and add it is."""
        return next(way for way in WAYS if getattr(self, way) is not None)

    @property
    def value(self) -> Value:
        """What the quantity is set to, multiplied with, or increased by."""
        return getattr(self, self.way)

    def of_layer(self) -> LayerEdit:
        """The same for the one layer that it is about."""
        return LayerEdit(self.quantity, self.way, self.value, self.units, self.steps, self.batch)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Edit) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    def __repr__(self) -> str:
        parts = [f"{self.layer!r}, {self.quantity!r}"]
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if isinstance(value, Tensor):
                parts.append(f"{field.name}=<{tuple(value.shape)}>")
            elif value is not None:
                parts.append(f"{field.name}={value!r}")
        return f"Edit({', '.join(parts)})"

    def to_dict(self) -> dict[str, Any]:
        """The edit as JSON has it: numbers, lists and names."""
        found: dict[str, Any] = {"layer": self.layer, "quantity": self.quantity}
        for name in ("units", "steps", "batch"):
            index = getattr(self, name)
            if isinstance(index, slice):
                found[name] = {"start": index.start, "stop": index.stop, "step": index.step}
            elif index is not None:
                found[name] = list(index) if isinstance(index, tuple) else index
        value = self.value
        found[self.way] = _plain(value.tolist() if isinstance(value, Tensor) else value)
        return found

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> "Edit":
        """The edit that `to_dict` wrote.

        Raises:
            InputError: a field that is unknown, missing or of the wrong kind.
        """
        if not isinstance(plain, dict):
            raise InputError(f"edit: expected an object, got {type(plain).__name__}")
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in plain if name not in known]:
            raise InputError(f"edit: expected {', '.join(known)}; got {unknown[0]!r}")
        given = dict(plain)
        try:
            for name in ("units", "steps", "batch"):
                if isinstance(given.get(name), dict):
                    ends = ("start", "stop", "step")
                    if strange := [key for key in given[name] if key not in ends]:
                        raise InputError(f"{name}: expected {', '.join(ends)}; got {strange[0]!r}")
                    given[name] = slice(*(given[name].get(key) for key in ends))
            for way in WAYS:
                if isinstance(given.get(way), (list, str)):
                    numbers = torch.tensor(_numbers(given[way]), dtype=torch.float64)
                    given[way] = float(numbers) if numbers.dim() == 0 else numbers
            return cls(**given)
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"edit: {error}") from None


def save_edits(edits: "Edit | Iterable[Edit] | Editing", path: str | Path) -> None:
    """Writes edits to a JSON file, whole or not at all.

    Args:
        edits: an edit, several, or what `glasscell.edit` gave.
        path: the file.

    Raises:
        WriteError: the file cannot be written.

    Example:
        >>> edits = [glasscell.Edit("encoder.l0", "forget_gate", units=[3], set=1.0)]
        >>> glasscell.save_edits(edits, "remember.json")
        >>> glasscell.load_edits("remember.json")
        [Edit('encoder.l0', 'forget_gate', units=(3,), set=1.0)]
    """
    listed: Any = [edits] if isinstance(edits, Edit) else getattr(edits, "edits", edits)
    plain = {"format": FORMAT, "edits": [edit.to_dict() for edit in listed]}
    write_file(Path(path), (json.dumps(plain, indent=1, allow_nan=False) + "\n").encode())


def load_edits(path: str | Path) -> list[Edit]:
    """Edits from the file that `save_edits` wrote, to be given to `glasscell.edit`.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file holds no edits.

    Example:
        >>> edit = glasscell.Edit("encoder.l0", "cell", units=[1], scale=0.5)
        >>> glasscell.save_edits(edit, "edits.json")
        >>> with glasscell.edit(model, glasscell.load_edits("edits.json")):
        ...     y = model(x)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        plain = json.loads(path.read_bytes())
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            raise ValueError("another format, or another version of Glasscell's")
        if not isinstance(plain.get("edits"), list):
            raise ValueError("its list of edits is no list")
        return [Edit.from_dict(each) for each in plain["edits"]]
    except (ValueError, RecursionError) as error:  # JSON's and UTF-8's errors are ValueErrors
        raise InputError(f"{path}: not a list of edits ({error})") from None


def _checked_value(value: Any, way: str) -> Value:
    if isinstance(value, Tensor):
        if value.is_complex() or value.dtype == torch.bool:
            raise TypeError(f"{way}: expected real numbers, got {value.dtype}")
        return value
    if hasattr(value, "__array__") or isinstance(value, (list, tuple)):
        try:
            return torch.tensor(value, dtype=torch.float64)  # a copy: an array may change
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{way}: expected numbers, got {value!r}") from None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{way}: expected a number or a tensor, got {type(value).__name__}")
    return float(value)


def _plain(value: Any) -> Any:
    """Numbers as JSON has them: what is not finite has a name."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if math.isfinite(value) else str(value)


def _numbers(plain: Any) -> Any:
    if isinstance(plain, bool):
        raise ValueError(f"expected numbers, got {plain}")
    return [_numbers(each) for each in plain] if isinstance(plain, list) else float(plain)
