"""Writes what comparisons found into docs/comparisons/ and docs/variants/findings.json.

    python docs/make_findings.py text=runs/compare-topics="Python's help" ...

Each argument is a name, the folder of a comparison, and its title. `make docs` then writes the
variants' pages. docs/comparisons/README.md is written by hand.
"""

import json
import sys
from pathlib import Path
from typing import Any

from glasscell.cells import VARIANTS

HERE = Path(__file__).parent
TABLES, FINDINGS = HERE / "comparisons", HERE / "variants" / "findings.json"
Comparison = dict[str, Any]


def main(arguments: list[str]) -> None:
    found = {}
    for argument in arguments:
        name, folder, title = argument.split("=", 2)
        found[name] = json.loads((Path(folder) / "comparison.json").read_text("utf-8"))
        found[name]["title"] = title
    TABLES.mkdir(exist_ok=True)
    for name, comparison in found.items():
        (TABLES / f"{name}.md").write_text(page(comparison), "utf-8")
    of_variants = {name: of_variant(name, found) for name in VARIANTS}
    texts = {name: text for name, text in of_variants.items() if text}
    FINDINGS.write_text(json.dumps(texts, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{len(found)} comparisons, {len(texts)} variants")


def page(comparison: Comparison) -> str:
    """One comparison: every cell in a table, and what it means in words."""
    lines = [
        f"# {comparison['title']}",
        "",
        f"{_scale(comparison)}.",
        "",
        *(f"- {fact}" for fact in comparison["facts"]),
        "",
        "| cell | units | parameters | seeds | score | 95 % interval | better than the LSTM by "
        "| p (Holm) |",
        "| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        *(_row(comparison, cell) for cell in comparison["cells"]),
        "",
        "In words:",
        "",
        *(f"- {remark}" for remark in comparison["remarks"]),
        *(f"- {finding['words']}" for finding in comparison["findings"]),
        "",
        "[All comparisons](README.md)",
    ]
    return "\n".join(lines) + "\n"


def of_variant(name: str, found: dict[str, Comparison]) -> str:
    """What was found of one variant, in Markdown; "" where it was in no comparison."""
    rows = []
    for key, comparison in found.items():
        cell = next((each for each in comparison["cells"] if each["cell"] == name), None)
        if cell is None:
            continue
        words = [each["words"] for each in comparison["findings"] if each["cell"] == name]
        told = words[0] if words else "What the others are compared with."
        link = f"[{comparison['title']}](../comparisons/{key}.md)"
        rows.append(f"| {link} | {_score(comparison, cell)} | {told} |")
    if not rows:
        return ""
    return "\n".join(("| data | score | |", "| :--- | ---: | :--- |", *rows))


def _row(comparison: Comparison, cell: Comparison) -> str:
    finding = next((f for f in comparison["findings"] if f["cell"] == cell["cell"]), None)
    worth = p = ""
    if finding is not None and len(finding["difference"]["values"]) > 1:
        against = "" if finding["against"] == "lstm" else f" (than `{finding['against']}`)"
        together = finding["difference"]["together"]
        sign = -1 if comparison["measure"]["lower_is_better"] else 1
        mean, *ends = (sign * together[end] for end in ("mean", "low", "high"))
        low, high = sorted(ends)
        worth = f"{_told(comparison, mean, '+')} ({_told(comparison, low, '+')} to "
        worth += f"{_told(comparison, high, '+')}){against}"
        adjusted = finding["difference"]["p_adjusted"]
        p = "< 0.001" if adjusted < 0.001 else f"{adjusted:.3f}"
    done = sum(run["score"] is not None for run in cell["runs"])
    seeds = str(done) if done == len(cell["runs"]) else f"{done} of {len(cell['runs'])}"
    score, between = cell["score"], ""
    if score and score["n"] > 1:
        between = f"{_told(comparison, score['low'])} to {_told(comparison, score['high'])}"
    return (
        f"| `{cell['cell']}` | {cell['hidden']} | {cell['parameters']:,} | {seeds} | "
        f"{_score(comparison, cell)} | {between} | {worth} | {p} |"
    )


def _scale(comparison: Comparison) -> str:
    measure = comparison["measure"]
    better = "less" if measure["lower_is_better"] else "more"
    levels = "".join(f"; {name}: {_told(comparison, at)}" for name, at in measure["levels"])
    return f"The score is {measure['name']}, {better} is better{levels}"


def _score(comparison: Comparison, cell: Comparison) -> str:
    return _told(comparison, cell["score"]["mean"]) if cell["score"] else "–"


def _told(comparison: Comparison, number: float, sign: str = "-") -> str:
    digits = comparison["measure"]["digits"]
    return f"{number:{sign}.{digits}f}".replace("-", "−")


if __name__ == "__main__":
    main(sys.argv[1:])
