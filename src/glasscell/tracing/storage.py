"""Traces on disk: one safetensors file, tensors in packed tokens, names and layouts as JSON."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as save_bytes
from torch import Tensor

from glasscell.cells import KINDS, SQUASHES, Cell, GateMap, Squash
from glasscell.engines import Packing, Record
from glasscell.errors import InputError
from glasscell.files import write_file
from glasscell.nn.layout import Layout
from glasscell.tracing.layer import LayerTrace

FORMAT = "glasscell trace 1"


def save(items: Iterable[tuple[str, LayerTrace]], path: str | Path) -> None:
    tensors: dict[str, Tensor] = {}
    layers: list[dict[str, Any]] = []
    for k, (name, layer) in enumerate(items):
        layout = layer.layout
        parts = layer.record._asdict()
        parts |= {"h_0": layer.h_0, "c_0": layer.c_0, "order": layout.order}
        tensors |= {
            f"{k}/{part}": tensor.detach().cpu().contiguous().clone()
            for part, tensor in parts.items()
            if tensor is not None
        }
        layers.append(
            {
                "name": name,
                "kind": layer.kind,
                "definition": _describe(layer.definition),
                "reverse": layer.reverse,
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
    cell = KINDS[layer["kind"]](**{k: _part(v) for k, v in layer["definition"].items()})
    record = Record(**{part: get(part) for part in Record._fields})
    h_0, c_0 = get("h_0"), get("c_0")
    _check_sizes(layout.packing, cell.G, record, h_0, c_0)
    return LayerTrace(layer["name"], cell, record, layout, h_0, c_0, layer["reverse"])


def _describe(cell: Cell) -> dict[str, Any]:
    """A cell's definition as plain data: a gate map as a dict, a squash by its name."""
    return {
        field: part.name
        if isinstance(part, Squash)
        else asdict(part) | {"squash": part.squash.name}
        for field, part in vars(cell).items()
    }


def _part(plain: Any) -> GateMap | Squash:
    if isinstance(plain, str):
        return SQUASHES[plain]
    return GateMap(**plain | {"squash": SQUASHES[plain["squash"]], "reads": tuple(plain["reads"])})


def _check_sizes(packing: Packing, G: int, record: Record, h_0: Tensor, c_0: Tensor | None) -> None:
    """Raises TypeError where a tensor is missing or is not of the size that was described."""
    N, B, P = packing.N, packing.B, h_0.shape[-1]
    H = P if record.gates is None else record.gates.shape[-1]
    expected = {"h": (N, P), "h_n": (B, P), "gates": (N, G, H), "pre": (N, G, H)}
    if c_0 is not None:
        expected |= {"c": (N, H), "c_n": (B, H)}
    found = {name: getattr(record, name) for name in expected} | {"h_0": h_0}
    expected["h_0"] = (B, P)
    for name, tensor in found.items():
        if tensor is None:
            raise TypeError(f"{name} is missing")
        if tuple(tensor.shape) != expected[name]:
            raise TypeError(f"{name} is {tuple(tensor.shape)}, described as {expected[name]}")
