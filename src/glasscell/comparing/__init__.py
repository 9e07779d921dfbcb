"""Which cell one's data needs: several, trained at the same size and for the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glasscell.comparing.comparison import Comparison as Comparison
    from glasscell.comparing.run_comparison import compare as compare

_PLACES = {"Comparison": "comparison", "compare": "run_comparison"}

__all__ = ["Comparison", "compare"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
