"""The run: training a model, resuming, and the folder that a trained model lives in.

`load` needs no more than torch and safetensors; training imports Lightning when it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glasscell.training.language_run import LanguageRun as LanguageRun
    from glasscell.training.loading import load as load
    from glasscell.training.text import resume_text as resume_text
    from glasscell.training.text import train_text as train_text

_PLACES = {
    "LanguageRun": "language_run",
    "load": "loading",
    "resume_text": "text",
    "train_text": "text",
}

__all__ = ["LanguageRun", "load", "resume_text", "train_text"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
