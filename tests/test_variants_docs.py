"""The pages about the variants are what the generator writes; code runs, links lead on."""

import json
import re
from pathlib import Path

import pytest
import torch

from glasscell.cells import VARIANTS
from glasscell.engines.native import kernels
from glasscell.explaining.variant_pages import BEGIN, END, main, pages, read_findings

DOCS = Path(__file__).parents[1] / "docs" / "variants"
BY_HAND = {"regularisers.md", "initial.md"}
BLOCK = re.compile(r"```python\n(.*?)```(?:\n+```text\n(.*?)```)?", re.DOTALL)
ANEW = "run `make docs`, which writes these pages anew"


@pytest.fixture(scope="module")
def written() -> dict[str, str]:
    return pages(read_findings(DOCS))


def test_there_is_a_page_for_each_variant_and_no_other(written):
    found = {path.name for path in DOCS.glob("*.md")}
    assert (
        found
        == {*written, *BY_HAND}
        == {f"{name}.md" for name in VARIANTS}
        | {
            "README.md",
            *BY_HAND,
        }
    ), ANEW


@pytest.mark.skipif(kernels() is None, reason="the pages tell what runs where kernels are built")
@pytest.mark.parametrize("name", [*(f"{name}.md" for name in VARIANTS), "README.md"])
def test_a_page_is_what_the_generator_writes(written, name):
    assert (DOCS / name).read_text("utf-8") == written[name], ANEW


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_code_runs_and_prints_what_it_says(path, capsys):
    torch.manual_seed(0)
    names: dict = {"__name__": "__main__"}
    for code, expected in BLOCK.findall(path.read_text("utf-8")):
        exec(compile(code, path.name, "exec"), names)
        assert capsys.readouterr().out.strip() == expected.strip()
    if path.stem in VARIANTS:
        for made in ("layer", "same"):
            if made in names:
                assert names[made].cell == VARIANTS[path.stem]


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8")):
        assert (path.parent / link).exists(), link


def test_findings_are_put_in(tmp_path, capsys):
    (tmp_path / "findings.json").write_text(json.dumps({"janet": "It **won**."}), "utf-8")
    main(str(tmp_path))
    page = (tmp_path / "janet.md").read_text("utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == "It **won**."
    assert "None was made yet" in (tmp_path / "gru.md").read_text("utf-8")
    assert f"{len(VARIANTS) + 1} pages" in capsys.readouterr().out
