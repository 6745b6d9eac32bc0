"""One start of a study: check everything, then run what is missing, then say what was found.

The same command starts, resumes and repeats the result of a study, because each step looks at what
the journal holds before it does anything.
"""

import fcntl
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from mhray.data.batches import fingerprint
from mhray.errors import ConfigError, StudyConflictError
from mhray.heads import Head
from mhray.models.trained_heads import predicted_heads
from mhray.training.chatter import chatter_to
from mhray.training.directory import make_directory
from mhray.training.origin import origin, train_command
from mhray.training.parts import build
from mhray.training.run import (
    check_heads,
    compose_run,
    read_heads_of,
    try_one_step,
    weighting_of,
)
from mhray.tuning.check import check_study
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.cluster import capacity
from mhray.tuning.enqueued import first_trials
from mhray.tuning.grid import refuse_another_grid
from mhray.tuning.journal import Journal
from mhray.tuning.left_out import variants
from mhray.tuning.outcome import Outcome
from mhray.tuning.progress import console_on
from mhray.tuning.quoting import leave_speeds, print_quote
from mhray.tuning.recording import MlflowObserver, open_recorder
from mhray.tuning.report import best_of, print_result
from mhray.tuning.running import run_missing
from mhray.tuning.search import fixed_overrides, samples_of
from mhray.tuning.study import dump_study
from mhray.tuning.study_file import StudyFile

DONE, STOPPED, NOTHING_COMPLETE = 0, 3, 4


def check(file: StudyFile, config_dir: Path | None) -> CheckedStudy:
    """Find everything that is wrong with a study before anything is started or written.

    Raises:
        ConfigError: one message with every problem of the file, each with its line.
        DataError: the data set is missing or malformed.
        StorageError: ``RAY_ADDRESS`` is set and no Ray answers there.
    """
    available = capacity()

    def compose(overrides: Sequence[str]) -> DictConfig:
        return compose_run(overrides, config_dir)

    def heads_of(config: Any) -> tuple[Head, ...]:
        return read_heads_of(config)[0]

    def try_out(config: Any) -> None:
        try_one_step(config, *read_heads_of(config))

    study = check_study(
        file,
        compose=compose,
        read_heads=heads_of,
        make_weighting=weighting_of,
        try_out=try_out,
        available_cpus=available.cpus,
        available_gpus=available.gpus,
    )
    if study.journal == study.mlflow.tracking_uri:
        raise ConfigError(
            f"journal: {study.journal} is MLflow's database too, and the two have tables of one "
            "name; write another one"
        )
    base = compose(fixed_overrides(study))
    heads = heads_of(base)
    check_heads(base, heads)
    kinds = variants(study, compose, fixed_overrides(study))
    predicted = tuple(predicted_heads(heads, kind.train_heads) for kind in kinds)
    directory = Path(study.storage).resolve() / study.name
    return CheckedStudy(study, file.text, base, heads, predicted, available, directory, config_dir)


def print_plan(checked: CheckedStudy, console: Console, *, times_networks: bool = False) -> None:
    """What would run: how many trials, where, how long, and three draws."""
    _print_headline(checked, console)
    print_quote(checked, console, times_networks=times_networks)
    console.print("three trials that could be drawn:", markup=False)
    for overrides in samples_of(checked.study, 3):
        line = train_command(overrides, checked.config_dir)
        console.print(f"  {line}", markup=False, soft_wrap=True)


def start(checked: CheckedStudy, command: str) -> int:
    """Run what is missing of a study and print its result.

    Args:
        checked: from :func:`check`.
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
        _print_headline(checked, console)
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
                leave_speeds(checked, journal)
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


def _print_headline(checked: CheckedStudy, console: Console) -> None:
    study, place = checked.study, checked.available
    heads = ", ".join(f"{head.name} ({head.num_classes} classes)" for head in checked.heads)
    console.print(
        f"study {study.name}: {study.budget.trials} trials, {checked.parallel_trials} at a time on "
        f"{place.place} ({place.cpus:g} cores, {place.gpus:g} GPUs)",
        markup=False,
    )
    console.print(f"heads: {heads}", markup=False)
    console.print(f"log: {checked.directory / 'log.txt'}", markup=False)


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
