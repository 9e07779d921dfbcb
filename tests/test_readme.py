"""The README's Python, run as it stands, but on less text for a shorter time."""

import re
from pathlib import Path

import pytest

from glasscell.tasks.language import default_corpus

README = Path(__file__).parents[1] / "README.md"


def test_the_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 4
    monkeypatch.chdir(tmp_path)
    Path("book.txt").write_text(default_corpus()[:20_000], "utf-8")
    names: dict = {}
    for block in blocks:
        exec(block.replace("minutes=5", "steps=3, hidden=8, progress=False"), names)
    assert tuple(names["trace"]["l0"].forget_gate.shape) == (35, 4, 128)
    assert {path.name for path in tmp_path.iterdir()} >= {"trace.safetensors", "forget_gate.html"}
    printed = capsys.readouterr().out
    assert len(printed) > 500
    assert "forget_gate" in printed
    assert "runs it: the fastest engine that can" in printed


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README.read_text("utf-8")))
def test_links_lead_somewhere(link):
    assert (README.parent / link).exists()
