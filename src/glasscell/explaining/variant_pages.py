"""The pages of docs/variants, written from the cells' definitions and their cards.

    python -m glasscell.explaining.variant_pages docs/variants

What a comparison found stands in `findings.json` beside the pages, where there is one: Markdown for
each variant, by its name.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from glasscell.cells import ALIASES, VARIANTS
from glasscell.explaining.cards import CARDS, card
from glasscell.explaining.cards.shown import runs_on
from glasscell.explaining.cards.sizes import is_square, parameters
from glasscell.explaining.document import Explanation
from glasscell.explaining.pieces import Table
from glasscell.files import write_file

FINDINGS = "findings.json"
BEGIN, END = "<!-- findings: begin -->", "<!-- findings: end -->"
NONE_MADE = "None was made yet. `glasscell compare` makes one on your own data."
INTRO = """# The variants

The cells that have a name: `glasscell.LSTM(64, 128, cell="janet")`, or `cell=` of `GRU`, `RNN` and
`Recurrent`. Each is a configuration of one of the kinds of cells that there are, and any other
configuration is a line: `cell="lstm(forget_gate=None)"`. Each page has a variant's equations, the
sizes of its weights, when to take it, and where it comes from. In a terminal
`glasscell explain --cell janet` shows the same, and `glasscell explain --cells` this table.

What goes with any of them: [regularisers of the recurrence](regularisers.md), and [what weights
begin with](initial.md). The chapter of the guide: [Variants](../guide/variants.md).

"""
OUTRO = """
**Gates** counts gate maps, the candidate included. **Weights** are those of one layer in one
direction, with both biases: $H$ is the hidden size and $I$ that of the input. **Runs on** are the
engines that run a float32 call on the CPU, the first of which is taken; why another does not stands
on the variant's page, and `glasscell.explain_engine(layer, x)` says it of a call of your own.

These pages are written by `make docs` from the definitions in `src/glasscell/cells/` and the cards
in `src/glasscell/explaining/cards/`.
"""


def pages(findings: Mapping[str, str]) -> dict[str, str]:
    """Every page by its file's name, in Markdown.

    Args:
        findings: what a comparison found, in Markdown, by the variant's name.
    """
    return {"README.md": _index(), **{f"{name}.md": _page(name, findings) for name in VARIANTS}}


def read_findings(folder: Path) -> dict[str, str]:
    """What stands in `findings.json`; nothing where there is none."""
    path = folder / FINDINGS
    return json.loads(path.read_text("utf-8")) if path.exists() else {}


def _index() -> str:
    rows = []
    for name, cell in VARIANTS.items():
        count = parameters(cell)
        formula = f"${count.latex}$" + (", $I = H$" if is_square(cell) else "")
        engines = [engine for engine, refusal in runs_on(cell).items() if refusal is None]
        sources = ", ".join(str(source.year) for source in CARDS[name].sources) or "–"
        rows.append([f"`{name}`", CARDS[name].brief, str(cell.G), formula,
                     f"{count(128, 128):,}", ", ".join(engines), sources])  # fmt: skip
    head = ["cell", "what is different", "gates", "weights", "$H = I = 128$", "runs on", "source"]
    others = ", ".join(f"`{alias}` for `{name}`" for alias, name in ALIASES.items())
    table = Explanation("", [Table(head, rows, "llrlrll")]).markdown().partition("\n\n")[2]
    for name in VARIANTS:
        table = table.replace(f"| `{name}` |", f"| [`{name}`]({name}.md) |")
    return f"{INTRO}{table}\nOther names: {others}.\n{OUTRO}"


def _page(name: str, findings: Mapping[str, str]) -> str:
    found = findings.get(name, NONE_MADE).strip()
    return (
        f"{card(name).markdown()}\n## What the comparison found\n\n{BEGIN}\n\n{found}\n\n{END}\n\n"
        "[All variants](README.md)\n"
    )


def main(folder: str) -> None:
    """Writes all pages into a folder."""
    written = pages(read_findings(Path(folder)))
    for name, text in written.items():
        write_file(Path(folder) / name, text.encode())
    print(f"{len(written)} pages in {folder}")


if __name__ == "__main__":
    main(*sys.argv[1:])
