"""Model folders: whole or not there, and clear words for what cannot be read."""

import errno
import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_run import SMALL, TEXT

from glasscell.files import WriteError, write_file
from glasscell.training import load, train_text
from glasscell.training.model_folder import FolderError, FolderWriter


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    out = tmp_path_factory.mktemp("original") / "run"
    train_text(text=TEXT, out=out, **{**SMALL, "epochs": 1})
    return out


@pytest.fixture
def folder(original, tmp_path):
    return shutil.copytree(original, tmp_path / "run")


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def other_weights(folder):
    weights = load_file(folder / "model.safetensors")
    weights["rnn.weight_hh_l0"] = torch.zeros(3, 3)
    save_file(weights, folder / "model.safetensors")


def weights_as(change):
    def spoil(folder):
        weights = load_file(folder / "model.safetensors")
        weights["output.bias"] = change(weights["output.bias"])
        save_file(weights, folder / "model.safetensors")

    return spoil


NOT_FINITE = "damaged: weights that are not finite numbers"

DAMAGES = {
    "nan": (weights_as(lambda w: w * float("nan")), NOT_FINITE),
    "too large": (weights_as(lambda w: w.double() + 1e300), NOT_FINITE),
    "integers": (weights_as(lambda w: w.int()), NOT_FINITE),
    "list of tasks": (lambda f: edit_config(f, task=[]), "is of something else"),
    "gone": (shutil.rmtree, "there is no model folder"),
    "a file": (lambda f: (shutil.rmtree(f), f.write_text("x")), "is a file, not a model folder"),
    "foreign": (lambda f: (f / "config.json").unlink(), r"not a model folder: it has no config"),
    "another's config": (
        lambda f: (f / "config.json").write_text('{"hidden": 3}'),
        "is of something else",
    ),
    "cut config": (
        lambda f: (f / "config.json").write_text('{"task": "lang'),
        r"config\.json is damaged: it is not valid JSON",
    ),
    "list": (lambda f: (f / "config.json").write_text("[]"), "does not hold what it should"),
    "newer": (lambda f: edit_config(f, format=2, glasscell="9.0"), r"newer version .*\(9\.0\)"),
    "unknown task": (lambda f: edit_config(f, task="chess"), "task 'chess'"),
    "odd model": (lambda f: edit_config(f, model={"cell": "lstm"}), "damaged"),
    "other size": (
        lambda f: edit_config(f, model={"vocabulary": 9, "hidden": 16}),
        "tokens, the model 9",
    ),
    "no weights": (
        lambda f: (f / "model.safetensors").unlink(),
        r"not a whole model folder: it has no model\.safetensors",
    ),
    "cut weights": (
        lambda f: os.truncate(f / "model.safetensors", 900),
        r"model\.safetensors is damaged",
    ),
    "empty weights": (lambda f: os.truncate(f / "model.safetensors", 0), "is damaged"),
    "other weights": (other_weights, r"does not belong .*rnn\.weight_hh_l0 is \(3, 3\)"),
    "no vocabulary": (lambda f: (f / "vocab.json").unlink(), r"no vocab\.json"),
    "odd vocabulary": (lambda f: (f / "vocab.json").write_text('{"level": "char"}'), "damaged"),
    "cut metrics": (lambda f: (f / "metrics.json").write_text("{"), r"metrics\.json is damaged"),
    "no test text": (lambda f: (f / "test.txt").unlink(), r"no test\.txt"),
    "odd test text": (lambda f: (f / "test.txt").write_bytes(b"\xff"), "not UTF-8"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_read_is_told_in_a_sentence(folder, damage):
    spoil, message = DAMAGES[damage]
    spoil(folder)
    with pytest.raises(FolderError, match=message) as error:
        load(folder)
    assert "\n" not in str(error.value)


def test_weights_that_hide_a_pickle_are_not_opened(folder):
    torch.save({"x": torch.zeros(2)}, folder / "model.safetensors")
    with pytest.raises(FolderError, match="damaged"):
        load(folder)


def test_existing_folders_are_not_overwritten(folder, tmp_path, train):
    with pytest.raises(FolderError, match="already holds a model"):
        train()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("dear diary")
    for force in (False, True):  # a folder of something else: not even with force
        with pytest.raises(FolderError, match="not a model folder, so it is left alone"):
            train(out=tmp_path / "notes", force=force)
    assert (tmp_path / "notes" / "diary.txt").read_text() == "dear diary"
    (tmp_path / "file").write_text("x")
    with pytest.raises(FolderError, match="is a file"):
        train(out=tmp_path / "file", force=True)


def test_an_empty_folder_and_a_deep_one_are_fine(train, tmp_path):
    (tmp_path / "empty").mkdir()
    assert train(out=tmp_path / "empty", epochs=1).path == tmp_path / "empty"
    assert train(out=tmp_path / "a" / "b" / "c", epochs=1).path


def test_force_replaces_the_model(folder, train, tmp_path):
    run = train(force=True, hidden=5, epochs=1)
    assert load(folder).model.config.hidden == run.model.config.hidden == 5
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def fill_disk(monkeypatch, name):
    """No space is left once a file of this name is written."""
    original = os.replace

    def full(source, target):
        if os.path.basename(target) == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(source, target)

    monkeypatch.setattr(os, "replace", full)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "metrics.json"])
def test_a_full_disk_leaves_the_old_model_whole(folder, train, tmp_path, monkeypatch, name):
    before = load(folder).model.rnn.weight_hh_l0
    fill_disk(monkeypatch, name)
    with pytest.raises(WriteError, match=f"{name}: no space is left on the disk; nothing that was"):
        train(force=True, seed=7)
    assert torch.equal(load(folder).model.rnn.weight_hh_l0, before)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_a_disk_that_fills_up_later_leaves_the_best_model(train, tmp_path, monkeypatch):
    fill_disk(monkeypatch, "last.ckpt")
    with pytest.raises(WriteError, match=r"last.ckpt: no space"):
        train()
    assert load(tmp_path / "run").generate("The", 3)
    assert not list((tmp_path / "run").glob(".*"))


def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "f"
    write_file(path, b"old")

    def broken(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(WriteError):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["f"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(WriteError, match="cannot write"):
        FolderWriter(tmp_path / "file" / "run")


def test_a_link_stays_a_link(train, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    train(out=tmp_path / "link", epochs=1)
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "real").generate("The", 3)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "real"]
    (tmp_path / "ring").symlink_to(tmp_path / "ring")
    with pytest.raises(FolderError, match="leads back to itself"):
        train(out=tmp_path / "ring")


def test_only_what_was_there_is_said_to_be_kept(tmp_path):
    with pytest.raises(WriteError, match=r"there is no such folder$"):
        write_file(tmp_path / "none" / "f", b"")
