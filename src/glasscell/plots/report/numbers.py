"""Numbers as the page carries them: one byte a value, so that megabytes stay few."""

import base64
from typing import Any

import numpy as np
from torch import Tensor

LEVELS = 254  # codes 0 to 254 are values, evenly spaced; 255 is "not a number"


def quantised(values: Tensor) -> dict[str, Any]:
    """(T, H) values as bytes, each unit over its own range, so that a value is off by at most
    1/508 of what its unit ever spans.

    Returns:
        `codes`: T*H bytes, unit by unit; `low`, `step`: H floats each, value = low + code * step;
        all base64 of little-endian numbers. `units`: H. `limit`: the largest magnitude that all
        but one in two hundred values stay within, the end of a colour scale with 0 in its middle.
    """
    v = values.detach().double().cpu().numpy().T  # (H, T)
    is_number = np.isfinite(v)
    low = np.min(v, axis=1, where=is_number, initial=np.inf)
    high = np.max(v, axis=1, where=is_number, initial=-np.inf)
    low, high = np.where(low <= high, low, 0.0), np.where(low <= high, high, 0.0)
    step = (high - low) / LEVELS
    scaled = (v - low[:, None]) / np.where(step > 0, step, 1.0)[:, None]
    codes = np.where(is_number, np.rint(np.where(is_number, scaled, 0)), 255).astype(np.uint8)
    sizes = np.abs(v[is_number])
    return {
        "codes": encoded(codes, "<u1"),
        "low": encoded(low, "<f4"),
        "step": encoded(step, "<f4"),
        "units": len(v),
        "limit": float(np.quantile(sizes, 0.995)) if sizes.size else 1.0,
    }


def encoded(values: Any, dtype: str) -> str:
    """Base64 of numbers as little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode("ascii")
