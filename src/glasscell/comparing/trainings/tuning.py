"""Options chosen by trying: learning rate, dropout and how parameters are shared out, by Optuna.

A trial is a training cut short: it has a part of the time that a training has, and one that does
worse than the median of those before it at the same point is ended early. All cells get the same
processor time for trials. What is chosen is what did best in validation; the test part is
not looked at. Trials are kept in a journal file, so that a search goes on where it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasscell.comparing.budget import TRIALS
from glasscell.comparing.folder import JOURNAL
from glasscell.comparing.models import Size, matched_hidden
from glasscell.comparing.trainings.timed import Limit, Look, Timed, train
from glasscell.comparing.trainings.train_one import Watch, first_weights
from glasscell.comparing.workloads import Workload
from glasscell.errors import UserError
from glasscell.training.diverged import TrainingDiverged

if TYPE_CHECKING:
    import optuna

RATES = (0.2, 5.0)  # the least and the greatest learning rate, as multiples of the usual one
SEED = 10_007  # of the trials' weights: none that is compared


@dataclass(frozen=True)
class Tuned:
    """What a search chose for a cell.

    Attributes:
        size, learning_rate: of the best trial.
        trials: how many there were.
        score: of the best in validation.
    """

    size: Size
    learning_rate: float
    trials: int
    score: float

    @classmethod
    def of(cls, plain: dict[str, Any]) -> Tuned:
        """The choice of plain data, as `dataclasses.asdict` gives it."""
        return cls(**{**plain, "size": Size(**plain["size"])})


def tune(
    workload: Workload,
    cell: str,
    size: Size,
    *,
    parameters: int,
    limit: Limit,
    seconds: float | None,
    folder: Path,
    study: str,
    watch: Watch = lambda done, look: None,
) -> Tuned:
    """Searches until the time is spent, or the trials are done.

    Args:
        workload: what is trained on.
        cell: what is tuned.
        size: its matched size.
        parameters: that each model tried comes closest to.
        limit: of a trial.
        seconds: of processor time for all trials; None for `TRIALS` of them.
        folder: of the journal.
        study: the name of what this search may go on with.
        watch: told how far it is.

    Raises:
        UserError: Optuna is not installed; every trial diverged.
    """
    optuna = load_optuna()
    search = _study(optuna, folder, f"{study}-{cell}", workload)
    usual = workload.learning_rate(cell, size.hidden)
    share = 1 / TRIALS if seconds is None else (limit.seconds or 0.0) / seconds

    def part_done() -> float:
        if seconds is None:
            return _finished(search) / TRIALS
        return sum(t.user_attrs.get("seconds", 0.0) for t in search.trials) / seconds

    def objective(trial: optuna.Trial) -> float:
        before = part_done()
        chosen = _choose(trial, workload, cell, size, parameters)
        rate = trial.suggest_float("learning_rate", RATES[0] * usual, RATES[1] * usual, log=True)
        return _try(
            optuna, trial, workload, cell, chosen, rate, limit,
            lambda done: watch(min(1.0, before + done * share), None),
        )  # fmt: skip

    if not search.trials:
        search.enqueue_trial(_usual(workload, usual))
    while part_done() < 1:
        search.optimize(objective, n_trials=1, catch=(TrainingDiverged,))
        watch(min(1.0, part_done()), None)
    if not any(t.state.name == "COMPLETE" for t in search.trials):
        raise UserError(f"tuning of {cell}: every trial diverged")
    best = search.best_trial
    assert best.value is not None
    return Tuned(
        size=Size(**best.user_attrs["size"]),
        learning_rate=best.params["learning_rate"],
        trials=_finished(search),
        score=best.value,
    )


def load_optuna() -> Any:
    """Optuna, with its talk turned off.

    Raises:
        UserError: it is not installed.
    """
    try:
        import optuna
    except ImportError:
        raise UserError("tuning needs Optuna: pip install 'glasscell[compare]'") from None
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    return optuna


def _study(optuna: Any, folder: Path, name: str, workload: Workload) -> optuna.Study:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    storage = JournalStorage(JournalFileBackend(str(folder / JOURNAL)))
    study = optuna.create_study(
        study_name=name,
        storage=storage,
        load_if_exists=True,
        direction="minimize" if workload.measure.lower_is_better else "maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=3),
    )
    # What a killed process left running will never end.
    for trial in study.get_trials(states=(optuna.trial.TrialState.RUNNING,)):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    # From where it goes on the sampler draws anew: the same draws again would be wasted.
    study.sampler = optuna.samplers.TPESampler(seed=len(study.trials), n_startup_trials=5)
    return study


def _usual(workload: Workload, rate: float) -> dict[str, Any]:
    """What is tried first: what there would be without a search."""
    return {"learning_rate": rate, **{name: each[0] for name, each in workload.choices.items()}}


def _choose(
    trial: optuna.Trial, workload: Workload, cell: str, size: Size, parameters: int
) -> Size:
    chosen = {
        name: trial.suggest_categorical(name, each) for name, each in workload.choices.items()
    }
    sized = replace(size, **chosen)
    if "embedding" not in chosen:
        return sized
    # What tokens take more, the cell has less.
    return replace(
        sized,
        hidden=matched_hidden(lambda h: workload.model(cell, replace(sized, hidden=h)), parameters),
    )


def _try(
    optuna: Any,
    trial: optuna.Trial,
    workload: Workload,
    cell: str,
    size: Size,
    rate: float,
    limit: Limit,
    watch: Callable[[float], None],
) -> float:
    """The best validation of one trial, which notes what it spent however it ends."""
    trial.set_user_attr("size", asdict(size))
    timed, looked = Timed(), 0

    def report(done: float, look: Look | None) -> None:
        nonlocal looked
        watch(done)
        if look is None:
            return
        trial.report(look.score, looked)
        looked += 1
        if done < 1 and trial.should_prune():
            raise optuna.TrialPruned

    model = first_weights(workload, cell, size, SEED)
    try:
        train(model, workload, limit, learning_rate=rate, seed=SEED, done=timed, watch=report)
    finally:
        # Even a trial that diverges at once has spent something: there is an end to them.
        trial.set_user_attr("seconds", max(timed.seconds, 0.02 * (limit.seconds or 0.0), 1e-3))
    scores = [look.score for look in timed.looks]
    return min(scores) if workload.measure.lower_is_better else max(scores)


def _finished(study: optuna.Study) -> int:
    """Trials that ended, well or badly: what diverges is not tried for ever."""
    return sum(trial.state.is_finished() for trial in study.trials)
