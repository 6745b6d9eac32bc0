"""One start of a checked study: run what is missing, then say what was found.

The same command starts, resumes and repeats the result of a study, because each step looks at what
the journal holds before it does anything.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from rich.console import Console

from mhray.data.batches import fingerprint
from mhray.errors import StudyConflictError
from mhray.training.chatter import chatter_to
from mhray.training.directory import make_directory
from mhray.training.origin import origin
from mhray.training.parts import build
from mhray.training.run import compose_run
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.console import console_on
from mhray.tuning.enqueued import first_trials
from mhray.tuning.grid import refuse_another_grid
from mhray.tuning.journal import Journal
from mhray.tuning.outcome import Outcome
from mhray.tuning.plan import print_headline
from mhray.tuning.quoting import leave_speeds
from mhray.tuning.recording import MlflowObserver, open_recorder
from mhray.tuning.report import best_of, print_result
from mhray.tuning.running import run_missing
from mhray.tuning.study import dump_study

DONE, STOPPED, NOTHING_COMPLETE = 0, 3, 4


def start(checked: CheckedStudy, command: str) -> int:
    """Run what is missing of a study and print its result.

    Args:
        checked: from :func:`mhray.tuning.plan.check`.
        command: what resumes the study, printed if it is stopped.

    Returns:
        The exit code: 0 complete, 3 stopped, 4 ended without a complete trial.

    Raises:
        StorageError: the storage, the journal or MLflow's store cannot be opened.
        StudyConflictError: the journal holds another study of this name, or another sweep runs it.
    """
    make_directory(checked.directory)
    with _lock(checked.directory), chatter_to(checked.directory / "log.txt") as out:
        console = console_on(out)
        print_headline(checked, console)
        return _start(checked, console, command)


def _start(checked: CheckedStudy, console: Console, command: str) -> int:
    study = checked.study
    datamodule, _ = build(checked.base)
    datamodule.prepare_data()
    journal = _open_journal(checked)
    mlflow = open_recorder(
        study, journal.key, checked.directory, checked.text, origin(), checked.config_dir
    )
    is_first_start = not journal.trials()
    try:
        mlflow.tell_again(journal.ended())
        if run_missing(checked, journal, mlflow, console):
            code = _end(checked, journal, mlflow, console)
            if is_first_start:
                leave_speeds(checked, journal.ended(), journal.spent.seconds)
            return code
        mlflow.study_ended("INTERRUPTED", best_of(journal.trials(), checked.study.selection))
    finally:
        journal.save_spent()
        _close(mlflow, console)
    console.print(f"stopped; resume with: {command}", markup=False, soft_wrap=True)
    return STOPPED


def _end(checked: CheckedStudy, journal: Journal, mlflow: MlflowObserver, console: Console) -> int:
    outcome = Outcome(checked.study, checked.text, checked.config_dir, journal, mlflow)
    outcome.test()
    records = journal.trials()
    print_result(
        console, checked.study, records, checked.shown_metrics, checked.config_dir, checked.heads
    )
    outcome.publish()
    return DONE if best_of(records, checked.study.selection) else NOTHING_COMPLETE


def _close(mlflow: MlflowObserver, console: Console) -> None:
    pending = mlflow.close()
    if pending:
        console.print(
            f"MLflow is away ({mlflow.recorder.last_error}): {pending} updates wait; the same "
            "command delivers them and registers the model",
            markup=False,
        )


def _open_journal(checked: CheckedStudy) -> Journal:
    """The study's journal; if no trial has been started, baselines and given trials wait in it."""
    study, base = checked.study, checked.base
    journal = Journal.open(study, checked.directory)
    data = {
        "fingerprint": fingerprint(Path(base.data.data_dir)),
        "seed": base.data.seed,
        "val_fraction": base.data.val_fraction,
    }
    journal.begin(dump_study(study), data, origin())
    refuse_another_grid(study, journal.trials())
    if not journal.trials() and study.grid is None:
        compose = partial(compose_run, config_dir=checked.config_dir)
        for parameters in first_trials(study, checked.heads, compose):
            journal.enqueue(parameters)
    return journal


@contextmanager
def _lock(directory: Path) -> Iterator[None]:
    """This study for one sweep alone; the lock ends with its process, however that ends."""
    with (directory / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise StudyConflictError(
                f"{directory}: another sweep runs this study ({file.read().strip()}); "
                "wait for it, or write another name"
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()} on {socket.gethostname()}")
        file.flush()
        yield
