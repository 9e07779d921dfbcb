"""A trace as a table of names, shapes and ranges."""

from collections.abc import Iterable

import torch

from glasscell.tracing.layer import LayerTrace

HEADER = ("layer", "quantity", "shape", "min", "mean", "max")


def table(items: Iterable[tuple[str, LayerTrace]]) -> str:
    """One line a quantity. Ranges are over the real steps."""
    rows: list[tuple[str, ...]] = []
    for name, layer in items:
        for k, quantity in enumerate(layer.quantities):
            values = layer.tokens(quantity).detach().to(torch.float32)
            shape = "(" + ", ".join(str(size) for size in layer[quantity].shape) + ")"
            if values.numel():
                numbers = (values.min(), values.mean(), values.max())
                ranges = tuple(f"{float(number):.3f}" for number in numbers)
            else:
                ranges = ("-", "-", "-")
            rows.append((name if k == 0 else "", quantity, shape, *ranges))
    if not rows:
        return "an empty trace: the model has not run inside the block"
    widths = [max(len(row[k]) for row in (HEADER, *rows)) for k in range(len(HEADER))]

    def line(row: tuple[str, ...]) -> str:
        left = [text.ljust(width) for text, width in zip(row[:3], widths, strict=False)]
        right = [text.rjust(width) for text, width in zip(row[3:], widths[3:], strict=True)]
        return "  ".join(left + right)

    return "\n".join([line(HEADER), *(line(row) for row in rows)])
