"""Reading last.ckpt, which may be cut short, of another program, or edited.

All that this package and Lightning will take from it is looked at before training begins, so that
a run is resumed whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from packaging.version import InvalidVersion, Version
from torch import Tensor, nn

from glasscell.training.keep_best import KeepBest
from glasscell.training.model_folder import read_checkpoint
from glasscell.training.run_module import KEY

MOMENTS = ("exp_avg", "exp_avg_sq")  # of AdamW, each of its weight's shape
OPTIONS = ("params", "lr", "betas", "eps", "weight_decay")  # of AdamW, the same for all weights


def read_run(
    path: Path, model: nn.Module, is_standing: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """What last.ckpt says of a run of this model. No object is unpickled.

    Args:
        is_standing: whether what a task adds to where a run stands is whole.

    Raises:
        FolderError: it is missing, damaged, or of another model or program.
    """
    return read_checkpoint(path, lambda saved: _is_whole(saved, model, is_standing))


def _is_whole(
    saved: dict[str, Any], model: nn.Module, is_standing: Callable[[dict[str, Any]], bool]
) -> bool:
    return (
        _is_lightnings(saved)
        and _are_weights(saved.get("state_dict"), model)
        and _is_optimizer(saved.get("optimizer_states"), model)
        and _is_standing(saved.get(KEY))
        and is_standing(saved[KEY])
        and _is_best(saved.get("callbacks"))
    )


def _is_lightnings(saved: dict[str, Any]) -> bool:
    """Lightning's frame; its own counts are not in a checkpoint of ours (see run_module)."""
    try:
        Version(saved["pytorch-lightning_version"])
    except (KeyError, TypeError, InvalidVersion):
        return False
    return (
        saved.get("lr_schedulers") == []
        and "loops" not in saved
        and _is_count(saved.get("epoch"))
        and _is_count(saved.get("global_step"))
    )


def _are_weights(weights: Any, model: nn.Module) -> bool:
    expected = {f"model.{name}": tensor.shape for name, tensor in model.state_dict().items()}
    return (
        isinstance(weights, dict)
        and weights.keys() == expected.keys()
        and all(is_tensor(weights[name], shape) for name, shape in expected.items())
    )


def _is_optimizer(states: Any, model: nn.Module) -> bool:
    match states:
        case [{"state": dict(state), "param_groups": [dict(group)]}]:
            pass
        case _:
            return False
    # Some strategies know weights by their name, others by their number.
    named = {f"model.{name}": p.shape for name, p in model.named_parameters()}
    numbered = dict(enumerate(named.values()))
    expected = named if any(isinstance(key, str) for key in state) else numbered
    whole = not state or (  # before the first step there is none
        state.keys() == expected.keys()
        and all(
            isinstance(each, dict)
            and is_tensor(each.get("step"), torch.Size())
            and all(is_tensor(each.get(moment), expected[key]) for moment in MOMENTS)
            for key, each in state.items()
        )
    )
    match [group.get(name) for name in OPTIONS]:
        case [list(params), float(), [float(), float()], float(), float() | int()]:
            return whole and params in (list(numbered), list(named))
    return False


def _is_standing(own: Any) -> bool:
    """Where the run stands: see `RunModule.on_save_checkpoint`."""
    match own:
        case {
            "step": step,
            "seconds": float(seconds),
            "generators": {"cpu": cpu, **others},
            "validation_due": bool(),
        }:
            return (
                _is_count(step)
                and 0 <= seconds < math.inf
                and all(_are_generators(each) for each in (cpu, *others.values()))
                and cpu.shape[1:] == torch.get_rng_state().shape
            )
    return False


def _are_generators(states: Any) -> bool:
    return (
        isinstance(states, Tensor)
        and states.dtype == torch.uint8
        and states.ndim == 2
        and len(states) > 0
    )


def _is_best(callbacks: Any) -> bool:
    """The best figure so far: see `KeepBest.state_dict`."""
    match callbacks.get(KeepBest.__name__) if isinstance(callbacks, dict) else None:
        case {"best": float(best), "best_step": step, "waited": waited, "history": list(history)}:
            return (
                not math.isnan(best)
                and _is_count(step)
                and _is_count(waited)
                and all(_is_validation(each) for each in history)
            )
    return False


def _is_validation(entry: Any) -> bool:
    """A time of validating and its figures, whichever the task has."""
    match entry:
        case {"step": step, **figures}:
            numbers = all(isinstance(figure, float) for figure in figures.values())
            return _is_count(step) and "seconds" in figures and numbers
    return False


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_tensor(value: Any, shape: torch.Size) -> bool:
    """Finite numbers, of a precision that any run may have."""
    return (
        isinstance(value, Tensor)
        and value.shape == shape
        and value.is_floating_point()
        and bool(value.isfinite().all())
    )
