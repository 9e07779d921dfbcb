"""A resumed run comes to the same numbers, bit for bit, as the uninterrupted one."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file
from small_run import PER_EPOCH, SMALL, TEXT

from glasscell.errors import UserError
from glasscell.training import load, resume_text, train_text
from glasscell.training.interruption import Interrupted
from glasscell.training.language_fit import read_language_run
from glasscell.training.language_module import LanguageModule
from glasscell.training.model_folder import CHECKPOINT, WEIGHTS, FolderError


def interrupt_at(monkeypatch, step, *, during="training_step", times=1):
    """Sends Ctrl-C in the middle of a step, or of the validation that follows it."""
    original = getattr(LanguageModule, during)

    def interrupted(module, *args):
        if module.step == step:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return original(module, *args)

    monkeypatch.setattr(LanguageModule, during, interrupted)


@pytest.fixture(scope="module", params=["lstm", "gru"])
def uninterrupted(request, tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("whole") / "run"
    run = train_text(text=TEXT, out=out, cell=request.param, **SMALL)
    torch.set_num_threads(threads)
    return run


def checkpoint(path):
    return torch.load(path / CHECKPOINT, weights_only=True)


def assert_same(a, b):
    """Nested containers of tensors, equal to the last bit."""
    if isinstance(a, torch.Tensor):
        assert torch.equal(a, b)
    elif isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a.keys() - {"seconds"}:
            assert_same(a[key], b[key])
    elif isinstance(a, list | tuple):
        for x, y in zip(a, b, strict=True):
            assert_same(x, y)
    else:
        assert a == b


@pytest.mark.parametrize(
    ("step", "during"),
    [
        (0, "training_step"),
        (7, "training_step"),
        (PER_EPOCH - 1, "training_step"),  # the last of an epoch
        (PER_EPOCH, "validation_step"),
        (PER_EPOCH, "training_step"),  # the first of the next
        (2 * PER_EPOCH + 14, "training_step"),
        (3 * PER_EPOCH, "validation_step"),  # the last validation
    ],
)
def test_interrupted_anywhere_and_resumed(
    uninterrupted, train, tmp_path, monkeypatch, step, during
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        interrupt_at(patch, step, during=during)
        with pytest.raises(Interrupted, match=f"stopped at step {step + (during[0] == 't')}"):
            train(cell=uninterrupted.config["model"]["cell"])
    assert load(out).generate("The", 5)  # usable as it is
    resumed = resume_text(out, text=TEXT, progress=False)

    whole = uninterrupted.path
    assert_same(load_file(whole / WEIGHTS), load_file(out / WEIGHTS))
    assert_same(checkpoint(whole), checkpoint(out))  # weights, optimizer, state, generators
    assert_same(uninterrupted.metrics, resumed.metrics)
    assert resumed.metrics["step"] == 3 * PER_EPOCH


@pytest.mark.parametrize("cell", ["mut1", "fgr", "slstm+zoneout=0.1"])
def test_whatever_a_cell_carries_is_carried_on(train, tmp_path, monkeypatch, cell):
    whole = train(out=tmp_path / "whole", cell=cell, epochs=0.3)
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(Interrupted):
            train(cell=cell, epochs=0.3)
    resume_text(tmp_path / "run", text=TEXT, progress=False)
    assert_same(checkpoint(whole.path), checkpoint(tmp_path / "run"))


def test_interrupted_again_and_again(uninterrupted, train, tmp_path, monkeypatch):
    out = tmp_path / "run"
    cell = uninterrupted.config["model"]["cell"]
    calls = [lambda: train(cell=cell)]
    calls += [lambda: resume_text(out, text=TEXT, progress=False)] * 3
    for call, step in zip(calls, (3, 4, 50, 90), strict=True):
        with monkeypatch.context() as patch:
            interrupt_at(patch, step)
            with pytest.raises(Interrupted):
                call()
    resume_text(out, text=TEXT, progress=False)
    assert_same(checkpoint(uninterrupted.path), checkpoint(out))


def test_a_killed_run_goes_on_from_its_last_validation(uninterrupted, train, tmp_path, monkeypatch):
    def killed(module, *args):
        if module.step == PER_EPOCH + 20:
            raise RuntimeError("power cut")
        return original(module, *args)

    original = LanguageModule.training_step
    with monkeypatch.context() as patch:
        patch.setattr(LanguageModule, "training_step", killed)
        with pytest.raises(RuntimeError, match="power cut"):
            train(cell=uninterrupted.config["model"]["cell"])
    resume_text(tmp_path / "run", text=TEXT, progress=False)
    assert_same(checkpoint(uninterrupted.path), checkpoint(tmp_path / "run"))


def test_a_second_signal_stops_at_once(train, tmp_path, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    interrupt_at(monkeypatch, PER_EPOCH + 5, times=2)
    with pytest.raises(Interrupted, match=r"stopped at once; .* best model so far"):
        train()
    assert signal.getsignal(signal.SIGINT) is before
    assert load(tmp_path / "run").metrics["step"] == PER_EPOCH


def test_a_second_signal_before_there_is_a_model(train, tmp_path, monkeypatch):
    interrupt_at(monkeypatch, 2, times=2)
    with pytest.raises(Interrupted, match="nothing was written") as error:
        train()
    assert not error.value.resumable
    assert list(tmp_path.iterdir()) == []


def test_a_request_to_end_is_obeyed_like_ctrl_c(train, tmp_path, monkeypatch):
    original = LanguageModule.training_step

    def told_to_end(module, *args):
        if module.step == 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(module, *args)

    monkeypatch.setattr(LanguageModule, "training_step", told_to_end)
    with pytest.raises(Interrupted, match="stopped at step 6") as error:
        train()
    assert error.value.signal == signal.SIGTERM
    assert load(tmp_path / "run").metrics["step"] == 6


def test_files_are_read_again(tmp_path, monkeypatch):
    book = tmp_path / "book.txt"
    book.write_text(TEXT, encoding="utf-8")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(Interrupted):
            train_text(book, out=tmp_path / "run", **SMALL)
    assert resume_text(tmp_path / "run", progress=False).metrics["step"] == 3 * PER_EPOCH
    book.write_text(TEXT + "more", encoding="utf-8")
    with pytest.raises(UserError, match="not the one that"):
        resume_text(tmp_path / "run", epochs=5, progress=False)


def test_a_finished_run_says_so_and_can_be_extended(train, tmp_path):
    out = tmp_path / "run"
    train(epochs=1)
    with pytest.raises(UserError, match=r"has finished training after 43 steps; .*--epochs"):
        resume_text(out, text=TEXT, progress=False)
    run = resume_text(out, text=TEXT, epochs=2, progress=False)
    assert run.metrics["step"] == 2 * PER_EPOCH
    assert run.config["training"]["epochs"] == 2
    assert [entry["step"] for entry in run.metrics["history"]] == [PER_EPOCH, 2 * PER_EPOCH]


def test_devices_that_cannot_share_the_streams(train, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_at(patch, 5)
        with pytest.raises(Interrupted):
            train()
    monkeypatch.setattr("glasscell.training.language_fit.fitting_streams", lambda *a, **k: 3)
    with pytest.raises(UserError, match="4 streams of text, which 1 devices cannot share"):
        resume_text(tmp_path / "run", text=TEXT, progress=False)


def test_what_cannot_be_resumed(train, tmp_path):
    with pytest.raises(FolderError, match="there is no model folder"):
        resume_text(tmp_path / "none")
    out = tmp_path / "run"
    train(epochs=1)
    (out / CHECKPOINT).write_bytes((out / CHECKPOINT).read_bytes()[:2000])
    with pytest.raises(FolderError, match=r"last\.ckpt is damaged"):
        resume_text(out, text=TEXT, epochs=2, progress=False)
    (out / CHECKPOINT).unlink()
    with pytest.raises(FolderError, match=r"has no last\.ckpt"):
        resume_text(out, text=TEXT, epochs=2, progress=False)


def test_a_checkpoint_with_code_in_it_is_not_run(train, tmp_path):
    class Trap:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "sprung"),))

    out = tmp_path / "run"
    train(epochs=1)
    torch.save({"glasscell": Trap()}, out / CHECKPOINT)
    with pytest.raises(FolderError, match="damaged"):
        resume_text(out, text=TEXT, epochs=2, progress=False)
    assert not (tmp_path / "sprung").exists()


def test_a_closed_terminal_is_obeyed_like_ctrl_c(train, tmp_path, monkeypatch):
    original = LanguageModule.training_step

    def hung_up(module, *args):
        if module.step == 5:
            os.kill(os.getpid(), signal.SIGHUP)
        return original(module, *args)

    monkeypatch.setattr(LanguageModule, "training_step", hung_up)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert train(epochs=1).metrics["step"] == PER_EPOCH  # as under nohup
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with pytest.raises(Interrupted, match="stopped at step 6") as error:
            train(force=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    assert error.value.signal == signal.SIGHUP


def missing(*keys):
    def spoil(saved):
        for key in keys[:-1]:
            saved = saved[key]
        del saved[keys[-1]]

    return spoil


def changed(value, *keys):
    def spoil(saved):
        for key in keys[:-1]:
            saved = saved[key]
        saved[keys[-1]] = value

    return spoil


def damages():
    for key in ("callbacks", "state_dict", "optimizer_states", "lr_schedulers", "glasscell"):
        yield missing(key)
        yield changed(3, key)
    yield missing("pytorch-lightning_version")
    yield changed("old", "pytorch-lightning_version")
    for key, value in {
        "step": -1,
        "seconds": "long",
        "state": [torch.zeros(2, 4, 9)],
        "generators": {},
        "validation_due": None,
    }.items():
        yield missing("glasscell", key)
        yield changed(value, "glasscell", key)
    yield changed("best", "callbacks", "KeepBest", "best")
    yield missing("callbacks", "KeepBest", "history")
    yield changed([{"step": 1}], "callbacks", "KeepBest", "history")
    yield changed(torch.zeros(3), "state_dict", "model.embedding.weight")
    yield changed(torch.tensor(float("nan")), "state_dict", "model.output.bias")
    yield changed({}, "optimizer_states", 0, "state", 0)
    yield missing("optimizer_states", 0, "param_groups", 0, "betas")


def test_an_edited_checkpoint_is_told(train, tmp_path):
    out = tmp_path / "run"
    train(epochs=1)
    for spoil in damages():
        saved = checkpoint(out)
        spoil(saved)
        torch.save(saved, tmp_path / CHECKPOINT)
        with pytest.raises(FolderError, match=r"last\.ckpt is damaged: the run cannot be resumed"):
            read_language_run(tmp_path / CHECKPOINT, load(out).model)
    read_language_run(out / CHECKPOINT, load(out).model)
    train(epochs=1, force=True, hidden=5, out=tmp_path / "other")
    with pytest.raises(FolderError, match=r"last\.ckpt is damaged"):  # another model's
        read_language_run(tmp_path / "other" / CHECKPOINT, load(out).model)


def test_a_path_that_is_not_utf8(train, tmp_path):
    out = os.fsdecode(os.fsencode(tmp_path) + b"/p\xff")
    train(out=out, epochs=1)
    assert resume_text(out, text=TEXT, epochs=2, progress=False).generate("The", 3)


def test_another_precision(train, tmp_path):
    train(epochs=0.5, precision="64-true")
    again = resume_text(tmp_path / "run", text=TEXT, epochs=1, progress=False, precision="32-true")
    assert again.generate("The", 3)


@pytest.mark.parametrize("precision", ["bf16-mixed", "64-true"])
def test_a_resumed_run_keeps_its_precision(train, tmp_path, monkeypatch, precision):
    train(precision=precision, out=tmp_path / "whole")
    with monkeypatch.context() as patch:
        interrupt_at(patch, 7)
        with pytest.raises(Interrupted):
            train(precision=precision)
    resume_text(tmp_path / "run", text=TEXT, progress=False)
    assert_same(checkpoint(tmp_path / "whole"), checkpoint(tmp_path / "run"))
    weights = load_file(tmp_path / "run" / WEIGHTS)
    assert_same(load_file(tmp_path / "whole" / WEIGHTS), weights)
