"""The run: training a model, resuming, and the folder that a trained model lives in.

`load` needs no more than torch and safetensors; training imports Lightning when it begins.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glasscell.training.classic import resume_classic as resume_classic
    from glasscell.training.classic import train_classic as train_classic
    from glasscell.training.classic_run import ClassicRun as ClassicRun
    from glasscell.training.language_run import LanguageRun as LanguageRun
    from glasscell.training.loading import load as load
    from glasscell.training.loading import load_text as load_text
    from glasscell.training.series import resume_series as resume_series
    from glasscell.training.series import train_series as train_series
    from glasscell.training.series_run import SeriesRun as SeriesRun
    from glasscell.training.text import resume_text as resume_text
    from glasscell.training.text import train_text as train_text

_PLACES = {
    "ClassicRun": "classic_run",
    "LanguageRun": "language_run",
    "SeriesRun": "series_run",
    "load": "loading",
    "load_text": "loading",
    "resume_classic": "classic",
    "resume_series": "series",
    "resume_text": "text",
    "train_classic": "classic",
    "train_series": "series",
    "train_text": "text",
}

__all__ = [
    "ClassicRun",
    "LanguageRun",
    "SeriesRun",
    "load",
    "load_text",
    "resume_classic",
    "resume_series",
    "resume_text",
    "train_classic",
    "train_series",
    "train_text",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
