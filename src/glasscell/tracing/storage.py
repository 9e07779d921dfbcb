"""Traces on disk: one safetensors file, tensors in packed tokens, names and layouts as JSON."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_bytes
from torch import Tensor

from glasscell.cells import Cell, spec
from glasscell.engines import GradientRecord, Packing, Record, RunEdit, StepGradients
from glasscell.engines.noise import RunNoise
from glasscell.errors import InputError
from glasscell.files import write_file
from glasscell.nn.layout import Layout
from glasscell.tracing.layer import LayerTrace

FORMAT = "glasscell trace 3"
TABLES = ("rows", "scale", "shift")  # of an edit, in the order of `RunEdit`


def save(items: Iterable[tuple[str, LayerTrace]], path: str | Path) -> None:
    tensors: dict[str, Tensor] = {}
    layers: list[dict[str, Any]] = []
    for k, (name, layer) in enumerate(items):
        layout = layer.layout
        parts = layer.record._asdict()
        parts |= {"h_0": layer.h_0, "c_0": layer.c_0, "order": layout.order}
        for edit in layer.edits:
            parts |= {f"edit.{edit.quantity}.{name}": edit[i] for i, name in enumerate(TABLES, 1)}
        if layer.gradients is not None and layer.gradients.found is not None:
            d = layer.gradients.found
            parts |= {f"grad.{name}": part for name, part in d._asdict().items()}
        tensors |= {
            f"{k}/{part}": tensor.detach().cpu().contiguous().clone()
            for part, tensor in parts.items()
            if tensor is not None
        }
        layers.append(
            {
                "name": name,
                "cell": _line(name, layer.definition),
                "noise": None if layer.noise is None else layer.noise[:3],
                "reverse": layer.reverse,
                "edits": [edit.quantity for edit in layer.edits],
                "batch_sizes": layout.packing.batch_sizes,
                "T": layout.T,
                "batch_first": layout.batch_first,
                "batched": layout.batched,
            }
        )
    write_file(Path(path), save_bytes(tensors, {"format": FORMAT, "layers": json.dumps(layers)}))


def load(path: str | Path) -> list[LayerTrace]:
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            if header.get("format") != FORMAT:
                raise TypeError("another format, or another version of Glasscell's")
            layers = json.loads(header["layers"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(layers, list):
            raise TypeError("its list of layers is no list")
        return [_layer(k, layer, tensors) for k, layer in enumerate(layers)]
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: not a trace, or damaged ({error})") from error


def _layer(k: int, layer: dict[str, Any], tensors: dict[str, Tensor]) -> LayerTrace:
    def get(part: str) -> Any:
        return tensors.get(f"{k}/{part}")

    layout = Layout(
        Packing(tuple(layer["batch_sizes"])),
        batch_first=layer["batch_first"],
        batched=layer["batched"],
        T=layer["T"],
        order=get("order"),
    )
    cell = spec.read(layer["cell"])
    record = Record(**{part: get(part) for part in Record._fields})
    h_0, c_0 = get("h_0"), get("c_0")
    _check_sizes(layout.packing, cell, record, h_0, c_0)
    edits = tuple(
        RunEdit(name, *(tensors[f"{k}/edit.{name}.{table}"] for table in TABLES))
        for name in layer.get("edits", ())
    )
    gradients = None
    if get("grad.h") is not None:
        gradients = GradientRecord()
        gradients.found = StepGradients(get("grad.h"), get("grad.c"), get("grad.gates"))
    _check_extras(cell, record, edits, gradients)
    noise = None
    if layer.get("noise") is not None:
        seed, training, (cell_rate, hidden_rate) = layer["noise"]
        noise = RunNoise(int(seed), bool(training), (float(cell_rate), float(hidden_rate)))
    name, reverse = layer["name"], layer["reverse"]
    return LayerTrace(name, cell, record, layout, h_0, c_0, reverse, edits, gradients, noise)


def _check_extras(
    cell: Cell, record: Record, edits: tuple[RunEdit, ...], gradients: GradientRecord | None
) -> None:
    """Raises TypeError where edits or gradients do not belong to what is recorded."""
    N = len(record.h)
    for edit in edits:
        if edit.quantity not in cell.quantities:
            raise TypeError(f"an edit of {edit.quantity}, which {cell.noun} does not have")
        rows = edit.rows
        if rows.shape != (N,) or (
            N and not -1 <= int(rows.min()) <= int(rows.max()) < len(edit.scale)
        ):
            raise TypeError(f"the edit of {edit.quantity} is not that of {N} tokens")
        if edit.scale.dim() != 2 or edit.scale.shape != edit.shift.shape:
            raise TypeError(f"the edit of {edit.quantity} has tables of different sizes")
    if gradients is not None and gradients.found is not None:
        d = gradients.found
        for name in ("h", "c", "gates"):
            mine, theirs = getattr(d, name), getattr(record, name)
            if (mine is None) != (theirs is None) or (
                mine is not None and mine.shape != theirs.shape
            ):
                raise TypeError(f"dL/d{name} is not of the size of {name}")


def _line(name: str, cell: Cell) -> str:
    """The cell in one line, which says all of it."""
    try:
        return spec.write(cell)
    except ValueError as error:
        raise InputError(f"{name}: its cell cannot be written down ({error})") from None


def _check_sizes(
    packing: Packing, cell: Cell, record: Record, h_0: Tensor, c_0: Tensor | None
) -> None:
    """Raises TypeError where a tensor is missing or is not of the size that was described."""
    N, B, P, G, C = packing.N, packing.B, h_0.shape[-1], cell.G, cell.C
    H = P if record.gates is None else record.gates.shape[-1]
    expected = {"h": (N, P), "h_n": (B, P), "gates": (N, G, H), "pre": (N, G, H)}
    if c_0 is not None:
        expected |= {"c": (N, C * H), "c_n": (B, C * H)}
    found = {name: getattr(record, name) for name in expected} | {"h_0": h_0}
    expected["h_0"] = (B, P)
    for name, tensor in found.items():
        if tensor is None:
            raise TypeError(f"{name} is missing")
        if tuple(tensor.shape) != expected[name]:
            raise TypeError(f"{name} is {tuple(tensor.shape)}, described as {expected[name]}")
