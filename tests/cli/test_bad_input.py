"""What a person may get wrong: one sentence on standard error, exit code 2, nothing lost."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from glasscell.cli.boundary import exit_code

SMALL = ["--hidden", "12", "--batch", "4", "--chunk", "32", "--steps", "2"]


def assert_one_sentence(result, *parts):
    assert result.code == 2, result
    assert result.err.startswith("glasscell: ")
    assert result.err.count("\n") == 1
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err


@pytest.mark.parametrize(
    ("raw", "parts"),
    [
        (b"", ["bad.txt is empty"]),
        (b"a", ["too short", "1 character"]),
        (b"short text\n", ["too short", "11 characters", "at least 100"]),
        (b"\x7fELF\x02\x01\0\0" + b"x" * 200, ["bad.txt is a binary file", "at byte 6"]),
        (b"a" * 150 + b"\nb\xffc" + b"d" * 90, ["not UTF-8", "0xff", "at byte 152 (line 2)"]),
        ("text\n".encode("utf-16") * 50, ["UTF-16"]),
    ],
)
def test_files_that_cannot_be_trained_on(cli, tmp_path, raw, parts):
    (tmp_path / "bad.txt").write_bytes(raw)
    assert_one_sentence(cli("train", "text", "bad.txt", "--out", "run", *SMALL), *parts)
    assert os.listdir() == ["bad.txt"]


def test_bytes_take_any_file(cli, tmp_path):
    (tmp_path / "data.bin").write_bytes(bytes(range(256)) * 4)
    assert cli("train", "text", "data.bin", "--level", "byte", "-o", "run", *SMALL).code == 0
    assert cli("generate", "run", "-n", "50").code == 0


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["none.txt"], ["cannot use", "none.txt", "no such file"]),
        (["."], ["is a directory"]),
        ([], ["name a file"]),
        (["book.txt", "--hidden", "0"], ["hidden: expected at least 1, got 0"]),
        (["book.txt", "--hidden", "many"], ["--hidden"]),
        (["book.txt", "--dropout", "1"], ["dropout: expected a fraction"]),
        (["book.txt", "--epochs", "-1"], ["epochs: expected more than 0"]),
        (["book.txt", "--cell", "elman"], ["cell: ", "'elman'", "peephole"]),
        (["book.txt", "--level", "letters"], ["--level"]),
        (["book.txt", "--precision", "17"], ["Precision '17' is invalid"]),
        (["book.txt", "--strategy", "magic"], ["magic"]),
        (["book.txt", "--devices", "none"], ["Lightning cannot run this"]),
        (["book.txt", "--lr", "1e9"], ["learning_rate: expected more than 0, at most 1000"]),
        (["book.txt", "--no-such-option"], ["--no-such-option"]),
        (["-", "--devices", "2"], ["standard input"]),
    ],
)
def test_options_that_cannot_be(cli, book, arguments, parts):
    assert_one_sentence(cli("train", "text", "--batch", "4", *arguments), *parts)
    assert os.listdir() in (["book.txt"], ["runs", "book.txt"], ["book.txt", "runs"])
    assert not os.path.isdir("runs") or os.listdir("runs") == []


def test_a_loss_that_is_no_number(cli, book, monkeypatch):
    from glasscell.training.language_module import LanguageModule

    original = LanguageModule.training_step

    def poisoned(module, *args):
        return original(module, *args) * float("nan" if module.step == 6 else 1)

    monkeypatch.setattr(LanguageModule, "training_step", poisoned)
    result = cli("train", "text", book, "-o", "run", "-q", "--validate-every", "4", "--steps", "9")
    assert_one_sentence(
        result, "gradient became nan at step 7", "run holds the best model so far, of step 4"
    )
    assert cli("generate", "run", "-n", "5").code == 0


def test_output_that_exists(cli, book, tmp_path, trained):
    shutil.copytree(trained, tmp_path / "run")
    before = (tmp_path / "run/model.safetensors").read_bytes()
    result = cli("train", "text", "book.txt", "--out", "run", *SMALL)
    assert_one_sentence(result, "already holds a model", "--force", "--resume")
    assert (tmp_path / "run/model.safetensors").read_bytes() == before
    assert cli("train", "text", "book.txt", "--out", "run", "--force", *SMALL).code == 0
    assert (tmp_path / "run/model.safetensors").read_bytes() != before
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.png").write_bytes(b"\x89PNG")
    result = cli("train", "text", "book.txt", "--out", "photos", "--force", *SMALL)
    assert_one_sentence(result, "left alone")


@pytest.mark.parametrize("command", ["generate", "evaluate"])
def test_folders_that_cannot_be_read(cli, tmp_path, trained, command):
    assert_one_sentence(cli(command, "none"), "there is no model folder none")
    (tmp_path / "empty").mkdir()
    assert_one_sentence(cli(command, "empty"), "not a model folder")
    (tmp_path / "file").write_text("x")
    assert_one_sentence(cli(command, "file"), "is a file")
    half = shutil.copytree(trained, tmp_path / "half")
    (half / "model.safetensors").unlink()
    assert_one_sentence(cli(command, "half"), "not a whole model folder")
    broken = shutil.copytree(trained, tmp_path / "broken")
    os.truncate(broken / "model.safetensors", 1000)
    assert_one_sentence(cli(command, "broken"), "damaged")


def test_prompts_and_sampling(cli, trained):
    assert_one_sentence(
        cli("generate", trained, "--prompt", "日本"), "2 characters", "'日' (U+65E5)", "'本'"
    )
    for option, value in [("--temperature", "-1"), ("--top-k", "0"), ("--top-p", "2")]:
        assert_one_sentence(cli("generate", trained, option, value), option[2:].replace("-", "_"))
    assert_one_sentence(cli("generate", trained, "--length", "-3"), "length")
    assert_one_sentence(cli("generate"), "RUN")


def test_text_to_evaluate(cli, trained, tmp_path):
    (tmp_path / "odd.txt").write_text("plain text, and 日本\n" * 3)
    assert_one_sentence(cli("evaluate", trained, "odd.txt"), "2 characters", "--skip-unknown")
    result = cli("evaluate", trained, "odd.txt", "--skip-unknown")
    assert (result.code, "6 unknown characters were left out" in result.out) == (0, True)
    (tmp_path / "empty.txt").write_text("")
    assert_one_sentence(cli("evaluate", trained, "empty.txt"), "too short")
    (tmp_path / "bin").write_bytes(b"abc\0def")
    assert_one_sentence(cli("evaluate", trained, "bin"), "binary file")
    assert_one_sentence(cli("evaluate", trained, "none.txt"), "no such file")
    assert cli("evaluate", trained, "-", stdin=b"plain text").code == 0


def test_unknown_commands(cli):
    assert_one_sentence(cli("trian"), "trian")
    assert_one_sentence(cli("train", "txt"), "txt")


def test_debugging_shows_the_trace(cli, monkeypatch):
    monkeypatch.setenv("GLASSCELL_DEBUG", "1")
    result = cli("generate", "none")
    assert result.code == 2
    assert "Traceback" in result.err


def test_a_bug_is_not_dressed_up_as_a_mistake():
    def bug():
        raise ValueError("inner workings")

    with pytest.raises(ValueError, match="inner workings"):
        exit_code(bug)


def test_missing_packages_are_named(capsys):
    def command():
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning.pytorch")

    assert exit_code(command) == 2
    assert "pip install 'glasscell[train]'" in capsys.readouterr().err


def test_a_reader_that_goes_away(trained):
    """`glasscell generate RUN | head`: ends quietly, with the code of a broken pipe."""
    writing = subprocess.Popen(
        [sys.executable, "-m", "glasscell.cli.main", "generate", str(trained), "-n", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert writing.stdout is not None
    assert writing.stderr is not None
    assert len(writing.stdout.read(20)) == 20
    writing.stdout.close()
    assert writing.wait(timeout=60) == 141
    assert writing.stderr.read() == b""
    writing.stderr.close()


def run_in_shell(script, *arguments):
    """A script of bash, in which "$@" is glasscell and the arguments."""
    command = [sys.executable, "-m", "glasscell.cli.main", *map(str, arguments)]
    done = subprocess.run(
        ["bash", "-c", script, "bash", *command], capture_output=True, text=True, timeout=60
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", ["evaluate", "inspect", "--help"])
def test_output_that_nobody_reads(trained, command):
    arguments = [command] if command == "--help" else [command, trained]
    assert run_in_shell('"$@" | true; exit ${PIPESTATUS[0]}', *arguments) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("script", "reason"),
    [('"$@" >/dev/full', "no space is left on the disk"), ('"$@" >&-', "it is closed")],
)
@pytest.mark.parametrize("command", ["generate", "inspect"])
def test_output_that_cannot_be_written(trained, command, script, reason):
    code, told = run_in_shell(script, command, trained)
    assert (code, told) == (2, f"glasscell: cannot write to standard output: {reason}\n")


def test_progress_that_nobody_reads_stops_no_training(book, tmp_path):
    arguments = ["train", "text", book, "-o", "run", *SMALL, "--validate-every", "1"]
    script = '"$@" 2>&1 >/dev/null | true; exit ${PIPESTATUS[0]}'
    assert run_in_shell(script, *arguments)[0] == 0
    assert (tmp_path / "run/model.safetensors").exists()


def test_reports_that_cannot_be_written_are_told_first(cli, trained, tmp_path):
    for path, reason in (("", "it is a folder"), ("a/b.html", "there is no folder a")):
        result = cli("inspect", trained, "--report", path)
        assert_one_sentence(result, reason)
        assert result.out == ""


def test_an_accelerator_that_is_not_there(cli, book):
    if not torch.accelerator.is_available():
        result = cli("train", "text", book, "--accelerator", "gpu", "-o", "run", *SMALL)
        assert_one_sentence(result, "use --accelerator cpu")
