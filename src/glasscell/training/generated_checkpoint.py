"""Reading the last.ckpt of a `GeneratedLoop`, which may be cut short, or of another program.

All that the loop will take from it is looked at before training goes on, so that a run is resumed
whole or not at all.
"""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glasscell.training.generated_loop import MOMENTS, GeneratedLoop
from glasscell.training.model_folder import CHECKPOINT, FolderWriter, read_checkpoint


def write_loop(writer: FolderWriter, loop: GeneratedLoop) -> None:
    """Writes where a run stands."""
    buffer = io.BytesIO()
    torch.save(loop.state_dict(), buffer)
    writer.write(CHECKPOINT, buffer.getvalue())


def read_loop(folder: Path, model: nn.Module) -> dict[str, Any]:
    """What last.ckpt says of a run of this model. No object is unpickled.

    Raises:
        FolderError: it is missing, damaged, or of another model or program.
    """
    return read_checkpoint(folder / CHECKPOINT, lambda saved: _is_whole(saved, model))


def _is_whole(saved: Any, model: nn.Module) -> bool:
    match saved:
        case {
            "step": int(step),
            "seconds": float(seconds),
            "cpu_seconds": float(cpu_seconds),
            "loss": float(),
            "total": float(total),
            "history": list(history),
            "model": dict(weights),
            "moments": list(moments),
            "sequences": Tensor() as sequences,
            "noise": Tensor() as noise,
        }:
            return (
                step > 0
                and all(map(math.isfinite, (seconds, cpu_seconds, total)))
                and min(seconds, cpu_seconds) >= 0
                and all(_is_measured(each) for each in history)
                and _are_weights(weights, model)
                and _are_moments(moments, model)
                and all(_is_generator(state) for state in (sequences, noise))
            )
    return False


def _is_measured(entry: Any) -> bool:
    match entry:
        case {
            "step": int(),
            "loss": float(),
            "score": float(score),
            "seconds": float(),
            "details": dict(details),
            **others,
        }:
            shares = all(isinstance(k, str) and isinstance(v, float) for k, v in details.items())
            return not others and shares and not math.isnan(score)
    return False


def _are_weights(weights: dict[Any, Any], model: nn.Module) -> bool:
    expected = model.state_dict()
    return weights.keys() == expected.keys() and all(
        _is_like(weights[name], tensor) for name, tensor in expected.items()
    )


def _are_moments(moments: list[Any], model: nn.Module) -> bool:
    """Adam's, of each weight, or none of a weight that had no gradient yet."""
    weights = list(model.parameters())
    return len(moments) == len(weights) and all(
        isinstance(each, dict)
        and each.keys() in (set(), set(MOMENTS))
        and all(_is_like(moment, weight) for moment in each.values())
        for each, weight in zip(moments, weights, strict=True)
    )


def _is_like(value: Any, tensor: Tensor) -> bool:
    """Finite numbers of the same shape and kind."""
    return (
        isinstance(value, Tensor)
        and value.shape == tensor.shape
        and value.dtype == tensor.dtype
        and bool(value.isfinite().all())
    )


def _is_generator(state: Tensor) -> bool:
    """A state that a generator takes: of the right size, and not beyond its own numbers."""
    if state.dtype != torch.uint8 or state.shape != torch.get_rng_state().shape:
        return False
    try:
        torch.Generator().set_state(state)
    except RuntimeError:
        return False
    return True
