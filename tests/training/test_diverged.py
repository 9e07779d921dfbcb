"""NaN and infinite losses: training stops at the step, and keeps the last good model."""

import pytest
import torch
from small_run import PER_EPOCH

from glasscell.training import load
from glasscell.training.diverged import EVERY, LossGuard, TrainingDiverged
from glasscell.training.language_module import LanguageModule


def nan_at(monkeypatch, step):
    original = LanguageModule.training_step

    def poisoned(module, *args):
        loss = original(module, *args)
        if module.step + 1 == step:
            module.last_loss = loss.detach() * float("nan")
        return loss

    monkeypatch.setattr(LanguageModule, "training_step", poisoned)


def test_the_step_is_told_and_the_best_model_kept(train, tmp_path, monkeypatch):
    nan_at(monkeypatch, PER_EPOCH + 5)
    with pytest.raises(TrainingDiverged, match=r"nan at step 48: .* holds the best model") as error:
        train()
    assert error.value.step == 48
    run = load(tmp_path / "run")
    assert run.metrics["step"] == PER_EPOCH
    assert all(p.isfinite().all() for p in run.model.parameters())


def test_a_gradient_that_is_no_number_does_not_reach_the_weights(train, tmp_path, monkeypatch):
    original = LanguageModule.training_step
    modules = []

    def poisoned(module, *args):
        modules.append(module)
        return original(module, *args) * float("nan" if module.step == PER_EPOCH + 4 else 1)

    monkeypatch.setattr(LanguageModule, "training_step", poisoned)
    with pytest.raises(TrainingDiverged, match="gradient became nan at step 48"):
        train()
    assert all(p.isfinite().all() for p in modules[-1].model.parameters())


def test_before_any_validation_nothing_is_written(train, tmp_path, monkeypatch):
    nan_at(monkeypatch, 3)
    with pytest.raises(TrainingDiverged, match=r"at step 3: .* no good model yet"):
        train()
    assert list(tmp_path.iterdir()) == []


def test_a_rate_far_too_high(train):
    with pytest.raises(TrainingDiverged, match="a lower learning rate"):
        train(learning_rate=1000, warmup=0, clip=0)


def test_a_replaced_model_survives_a_run_that_diverges(train, tmp_path, monkeypatch):
    before = train(epochs=1).model.rnn.weight_hh_l0
    nan_at(monkeypatch, 3)
    with pytest.raises(TrainingDiverged):
        train(force=True, seed=9)
    assert torch.equal(load(tmp_path / "run").model.rnn.weight_hh_l0, before)
    assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_on_an_accelerator_the_step_is_right_though_looked_at_later():
    class OnDevice(torch.Tensor):
        device = torch.device("cuda")  # says so, and computes here

    guard = LossGuard()
    for step in range(1, EVERY):
        loss = torch.tensor(float("inf") if step == 21 else 1.0)
        guard.watch(step, loss.as_subclass(OnDevice), torch.tensor(2.0))
    with pytest.raises(TrainingDiverged, match="inf at step 21"):
        guard.watch(EVERY, torch.tensor(1.0).as_subclass(OnDevice), torch.tensor(2.0))
