"""The guide's Python: each chapter's code, from its first line to its last, run as it stands."""

import re
from pathlib import Path

import pytest
import torch

GUIDE = Path(__file__).parents[1] / "docs" / "guide"
CHAPTERS = sorted(GUIDE.glob("*.md"))
BLOCK = re.compile(r"```python\n(.*?)```(?:\n+```text( trained)?\n(.*?)```)?", re.DOTALL)


def comparable(text: str, trained: str) -> str:
    """Text without the spaces at the ends of its lines; where a network was trained, which another
    processor does a little differently, without its numbers.
    """
    text = re.sub(r"[-+]?\d[\d.,]*", "#", text) if trained else text
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_runs_and_prints_what_it_says(chapter, tmp_path, monkeypatch, capsys):
    """A block that prints is followed by a block of text: what it printed."""
    blocks = BLOCK.findall(chapter.read_text("utf-8"))
    assert blocks or chapter.stem == "README"
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    names: dict = {"__name__": "__main__"}
    for code, trained, expected in blocks:
        exec(compile(code, f"{chapter.name}: {code.splitlines()[0]}", "exec"), names)
        printed = capsys.readouterr().out
        assert comparable(printed, trained) == comparable(expected, trained), code


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_links_lead_somewhere(chapter):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", chapter.read_text("utf-8")):
        assert (chapter.parent / link).exists(), link
