"""Help with examples, the version, completion, and that asking for them is quick."""

import dataclasses
import re
import subprocess
import sys

import pytest

from glasscell.cli.app import app
from glasscell.tasks.language.levels import LEVELS
from glasscell.tasks.language.model import LanguageModelConfig
from glasscell.training.hardware import Hardware
from glasscell.training.language_recipe import LanguageRecipe
from glasscell.training.recipe import DEFAULT_EPOCHS
from glasscell.version import __version__


@pytest.mark.parametrize("arguments", [["--help"], ["-h"], []])
def test_help_names_the_commands(cli, arguments):
    result = cli(*arguments)
    assert result.code == 0
    for command in ("train", "evaluate", "generate"):
        assert command in result.out


@pytest.mark.parametrize(
    ("command", "example"),
    [
        (("train", "text"), "glasscell train text book.txt --out runs/book"),
        (("generate",), 'glasscell generate runs/book --prompt "Once upon a time"'),
        (("bench",), "glasscell bench --quick"),
        (("evaluate",), "glasscell evaluate runs/book other.txt --json"),
    ],
)
def test_every_command_has_examples(cli, command, example):
    result = cli(*command, "--help")
    assert result.code == 0
    assert "Examples" in result.out
    assert example in re.sub(r"\s+", " ", result.out)


def test_the_defaults_told_are_the_defaults(cli):
    help_text = re.sub(r"[\s│]+", " ", cli("train", "text", "--help").out)
    told = {}
    for option in re.split(r" (?=--[a-z-]+\S* (?:-\S+ |--\S+ )?<)", help_text):
        if found := re.match(r"--([a-z-]+).*?\[default: ([^\]]*)\]", option):
            told[found[1]] = found[2]
    for cls in (LanguageModelConfig, LanguageRecipe, Hardware):
        for field in dataclasses.fields(cls):
            name, default = field.name.replace("_", "-"), field.default
            if default in (None, dataclasses.MISSING) or name in ("tied", "embedding"):
                continue
            assert told[name] == str(default), name
    assert told["epochs"].startswith(f"{DEFAULT_EPOCHS:g},")


def test_help_names_every_level(cli):
    told = re.sub(r"[\s│]+", " ", cli("train", "text", "--help").out)
    names = re.search(r"What a token is: (.*?)\.", told)
    assert names
    assert re.findall(r"(?!or)\b\w+", names[1]) == list(LEVELS)


def test_version(cli):
    result = cli("--version")
    assert (result.code, result.out) == (0, f"glasscell {__version__}\n")


def test_shell_completion_knows_commands_and_options(monkeypatch, capfd):
    monkeypatch.setenv("_GLASSCELL_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "glasscell train text --lev")
    monkeypatch.setenv("COMP_CWORD", "3")
    with pytest.raises(SystemExit):
        app(args=[], prog_name="glasscell")
    assert "--level" in capfd.readouterr().out


def test_help_loads_neither_lightning_nor_rich_training():
    code = (
        "import sys; from glasscell.cli.app import app; "
        "print([m for m in ('lightning', 'glasscell.tasks', 'glasscell.training') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_the_library_loads_no_extras():
    code = (
        "import sys, glasscell, glasscell.training, glasscell.tasks.language; "
        "print([m for m in ('lightning', 'typer', 'rich', 'plotly') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
