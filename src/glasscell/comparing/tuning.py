"""Options chosen by trying: learning rate, dropout and how parameters are shared out, by Optuna.

A trial is a training cut short: it has a part of the time that a training has, and one that does
worse than the median of those before it at the same point is ended early. All cells get the same
time for trials, by the processor. What is chosen is what did best in validation; the test part is
not looked at. Trials are kept in a journal file, so that a search goes on where it was.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glasscell.comparing.allotment import TRIALS
from glasscell.comparing.models import Size, matched_hidden
from glasscell.comparing.plan import JOURNAL
from glasscell.comparing.timed import Limit, Look
from glasscell.comparing.training_one import first_weights
from glasscell.comparing.workloads import Workload
from glasscell.errors import UserError
from glasscell.training.diverged import TrainingDiverged

if TYPE_CHECKING:
    import optuna

RATES = (0.2, 5.0)  # the least and the greatest learning rate, as multiples of the usual one
SEED = 10_007  # of the trials' weights: none that is compared


def tune(
    workload: Workload,
    cell: str,
    size: Size,
    order: dict[str, Any],
    say: Callable[[dict[str, Any]], None] = lambda event: None,
) -> dict[str, Any]:
    """Searches until the time is spent, or the trials are done.

    Args:
        workload: what is trained on.
        cell: what is tuned.
        size: its matched size; what is tried has as many parameters.
        order: `folder` of the journal; `parameters` to have; `limit` of a trial, as plain data;
            `seconds` of the processor for all trials, or None for `TRIALS` of them; `study`, the
            name of what this search may go on with.
        say: told how far it is.

    Returns:
        `size`, `learning_rate`, `trials`, `score`: of the best trial, as plain data.

    Raises:
        UserError: Optuna is not installed; every trial diverged.
    """
    optuna = load_optuna()
    study = _study(optuna, Path(order["folder"]), f"{order['study']}-{cell}", workload)
    limit, seconds = Limit(**order["limit"]), order["seconds"]
    usual = workload.learning_rate(cell, size.hidden)

    def part_done() -> float:
        if seconds is None:
            return _finished(study) / TRIALS
        return sum(t.user_attrs.get("seconds", 0.0) for t in study.trials) / seconds

    def objective(trial: optuna.Trial) -> float:
        chosen = _choose(trial, workload, cell, size, order["parameters"])
        rate = trial.suggest_float("learning_rate", RATES[0] * usual, RATES[1] * usual, log=True)
        return _try(optuna, trial, workload, cell, chosen, rate, limit, seconds, say, part_done())

    if not study.trials:
        study.enqueue_trial(_usual(workload, usual))
    while part_done() < 1:
        study.optimize(objective, n_trials=1, catch=(TrainingDiverged,))
        say({"event": "progress", "done": min(1.0, part_done()), "score": None})
    done = [t for t in study.trials if t.state.name == "COMPLETE"]
    if not done:
        raise UserError(f"tuning of {cell}: every trial diverged")
    best = study.best_trial
    return {
        "size": best.user_attrs["size"],
        "learning_rate": best.params["learning_rate"],
        "trials": _finished(study),
        "score": best.value,
    }


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
    seconds: float | None,
    say: Callable[[dict[str, Any]], None],
    before: float,
) -> float:
    """The best validation of one trial, which notes what it spent however it ends."""
    from glasscell.comparing.timed import train
    from glasscell.comparing.worker import Telling

    trial.set_user_attr("size", asdict(size))
    spent, looked = 0.0, 0
    share = 1 / TRIALS if seconds is None else (limit.seconds or 0.0) / seconds
    telling = Telling(say)

    def watch(done: float, look: Look | None) -> None:
        nonlocal spent, looked
        telling(min(1.0, before + done * share), None)
        if look is None:
            return
        spent = look.seconds
        trial.report(look.score, looked)
        looked += 1
        if done < 1 and trial.should_prune():
            raise optuna.TrialPruned

    model = first_weights(workload, cell, size, SEED)
    try:
        timed = train(model, workload, limit, learning_rate=rate, seed=SEED, watch=watch)
        spent = timed.seconds
    finally:
        # A trial that ends before its first validation has spent something too.
        trial.set_user_attr("seconds", max(spent, 0.02 * (limit.seconds or 0.0), 1e-3))
    scores = [look.score for look in timed.looks]
    return min(scores) if workload.measure.lower_is_better else max(scores)


def _finished(study: optuna.Study) -> int:
    """Trials that ended, well or badly: what diverges is not tried for ever."""
    return sum(trial.state.is_finished() for trial in study.trials)
