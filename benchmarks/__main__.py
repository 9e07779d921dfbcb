"""All comparisons in one process: medians, ratios, and how far the machine's limit is.

python -m benchmarks [--budget SECONDS] [--only layers,tracing,importing,language] [--json FILE]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

from benchmarks import importing, language, layers, machine, tracing
from benchmarks.comparison import Result, compare

GROUPS = ("layers", "tracing", "importing", "language")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--budget", type=float, default=2.0, help="seconds for each comparison")
    parser.add_argument("--only", default=",".join(GROUPS), help="groups, separated by commas")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(GROUPS):
        parser.error(f"--only: expected some of {', '.join(GROUPS)}, got {', '.join(unknown)}")

    torch.manual_seed(0)
    peak = machine.product_peak()
    print(machine.describe())
    print(f"fastest float32 matrix product: {peak / 1e9:.0f} GFLOP/s\n")
    rows: list[dict[str, Any]] = []
    for group, comparisons in (("layers", layers), ("tracing", tracing)):
        if group in wanted:
            rows.extend(
                _row(compare(comparison, options.budget), peak)
                for comparison in comparisons.comparisons()
            )
    if "importing" in wanted:
        seconds = importing.seconds_beyond_torch()
        verdict = _met(-seconds, -0.3)
        print(f"import glasscell, beyond torch: {seconds:.3f} s (at most 0.30: {verdict})\n")
        rows.append({"case": "import glasscell beyond torch", "seconds": seconds})
    if "language" in wanted:
        ours, plain = language.tokens_per_second()
        print(
            f"language model, training: {ours:,.0f} tokens/s; plain PyTorch loop {plain:,.0f}; "
            f"ratio {ours / plain:.2f} (at least 0.90: {_met(ours / plain, 0.9)})"
        )
        rows.append({"case": "language model training", "ours": ours, "plain": plain})
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine.describe(), "peak": peak, "rows": rows}, indent=1)
        )


def _row(result: Result, peak: float) -> dict[str, Any]:
    """Prints one comparison, and returns its figures."""
    comparison = result.comparison
    times = "   ".join(f"{name} {1e3 * s:8.2f} ms" for name, s in result.seconds.items())
    least = comparison.least
    verdict = "" if least is None else f" (at least {least:.2f}: {_met(result.ratio, least)})"
    line = f"{comparison.case:<52} {times}   ratio {result.ratio:5.2f}{verdict}"
    ours = result.seconds[comparison.peers[0].name]
    if comparison.flops:
        line += f"   {comparison.flops / ours / peak:4.0%} of the product's speed"
    print(line, flush=True)
    return {"case": comparison.case, "seconds": result.seconds, "ratio": result.ratio}


def _met(ratio: float, least: float) -> str:
    return "met" if ratio >= least else "MISSED"


if __name__ == "__main__":
    main()
