"""Small data to compare cells on."""

import math

import pytest

from glasscell.tasks.language import default_corpus


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("texts") / "book.txt"
    path.write_text(default_corpus()[:8000], encoding="utf-8")
    return str(path)


@pytest.fixture(scope="session")
def table(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("tables") / "load.csv"
    rows = [f"{k},{math.sin(k / 5) + 0.3 * math.sin(k / 1.7):.5f}" for k in range(600)]
    path.write_text("\n".join(["hour,demand", *rows]) + "\n", encoding="utf-8")
    return str(path)
