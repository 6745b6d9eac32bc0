"""One start of a checked study: run what is missing, then say what was found.

The same command starts, resumes and repeats the result of a study, because each step looks at what
the journal holds before it does anything.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from rich.console import Console

from mhray.data.batches import fingerprint
from mhray.errors import FailingTrialsError, NoAnswerError, StorageError
from mhray.training.chatter import chatter_to
from mhray.training.directory import make_directory
from mhray.training.origin import origin
from mhray.training.parts import build
from mhray.training.run import compose_run
from mhray.tuning.admission import refuse_unfit_nodes
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.confirmation import study_of_runs
from mhray.tuning.console import console_on
from mhray.tuning.differences import Difference
from mhray.tuning.enqueued import first_trials
from mhray.tuning.grid import refuse_another_grid
from mhray.tuning.journal import Journal
from mhray.tuning.lock import held, locked, refuse_held
from mhray.tuning.outcome import Outcome
from mhray.tuning.page.material import material_of
from mhray.tuning.page.writing import REPORT, write_report
from mhray.tuning.plan import print_headline
from mhray.tuning.quoting import leave_speeds
from mhray.tuning.rebuilding import Rebuilding
from mhray.tuning.record import TrialRecord
from mhray.tuning.recording import MlflowObserver, open_recorder
from mhray.tuning.report import best_of, print_result
from mhray.tuning.running import run_missing
from mhray.tuning.set_aside import finish_setting_aside, set_aside
from mhray.tuning.study import Study, dump_study

DONE, STOPPED, FAILED = 0, 3, 4


@dataclass(frozen=True)
class Wishes:
    """What the user wants of this start beyond going on.

    Attributes:
        extends_by: trials beyond those that the study has now.
        accepts_changes: whether a changed study goes on, where it can.
        starts_anew: whether what is there is kept under another name.
    """

    extends_by: int = 0
    accepts_changes: bool = False
    starts_anew: bool = False


def start(checked: CheckedStudy, command: str, wishes: Wishes = Wishes()) -> int:
    """Run what is missing of a study and print its result.

    Args:
        checked: from :func:`mhray.tuning.plan.check`.
        command: what resumes the study, printed if it is stopped.
        wishes: of the user's.

    Returns:
        The exit code: 0 complete, 3 stopped, 4 ended without a complete trial, or stopped
        because too many failed for the same reason.

    Raises:
        ClusterError: a node of the cluster cannot take part in it.
        ConfigError: the study cannot have as many trials as are asked for.
        StorageError: the storage, the journal or MLflow's store cannot be opened.
        StudyConflictError: the journal holds another study of this name, or another sweep runs it.
    """
    refuse_unfit_nodes(checked)
    with _open(checked, wishes) as opened:
        print_headline(opened.checked, opened.console)
        for line in opened.lines:
            opened.console.print(line, markup=False)
        return _start(opened, command)


@dataclass(frozen=True)
class _Opened:
    """A study that this sweep has to itself.

    Attributes:
        checked: with the budget that counts.
        lines: what has to be said before it goes on.
    """

    checked: CheckedStudy
    journal: Journal
    console: Console
    lines: tuple[str, ...]


@contextmanager
def _open(checked: CheckedStudy, wishes: Wishes) -> Iterator[_Opened]:
    """A study's directory and journal, for one sweep alone."""
    study, directory = checked.study, checked.directory
    make_directory(directory)
    with locked(directory) as is_sure:
        # The log may be among what is moved.
        with chatter_to(Path(os.devnull)) as out:
            finish_setting_aside(study, directory)
            kept = _kept(study, directory, _saying(console_on(out))) if wishes.starts_anew else ""
        with chatter_to(directory / "log.txt") as out:
            console = console_on(out)
            if kept:
                console.print(f"kept: what was {study.name} is {kept} now", markup=False)
            datamodule, _ = build(checked.base)
            datamodule.prepare_data()
            journal = Journal.open(study, directory)
            is_shared = not is_sure or study.journal != "auto"
            alone = held(journal, study.name, _saying(console)) if is_shared else nullcontext()
            with alone:
                changes = _begin(checked, journal, accepts_changes=wishes.accepts_changes)
                extended = _extended(study, journal, wishes.extends_by)
                lines = (
                    *(f"changed: {change}" for change in changes),
                    *journal.extension.lines(study.budget.trials),
                )
                goes_on = replace(checked, study=extended)
                yield _Opened(goes_on, journal, console, lines)


def _saying(console: Console) -> Callable[[str], None]:
    return partial(console.print, markup=False)


def _kept(study: Study, directory: Path, say: Callable[[str], None]) -> str:
    """The name under which the old study is kept; empty if there was none."""
    refuse_held(Journal.open(study, directory), study.name, say)
    return set_aside(study, directory, datetime.now().astimezone())


def _extended(study: Study, journal: Journal, by: int) -> Study:
    """The study with the budget that counts, which its journal knows."""
    extension = journal.extension.further(by, study.budget.trials, len(journal.ended()))
    extended = extension.of(study)
    if extension != journal.extension:
        journal.extend(extension)
    return extended


def rebuild(checked: CheckedStudy, wishes: Wishes = Wishes()) -> int:
    """Make MLflow agree with a study's journal; runs no trial. Returns the exit code, 0.

    Raises:
        StorageError: as :func:`start`, or MLflow's store holds what cannot be mended from here.
    """
    with _open(checked, wishes) as opened:
        study = opened.checked.study
        if not opened.journal.trials():
            raise StorageError(
                f"journal: it holds no trial of {study.name}; run the study first, or write the "
                "name of one that was"
            )
        Rebuilding(opened.checked, opened.journal, opened.console).rebuild()
        return DONE


def _start(opened: _Opened, command: str) -> int:
    checked, journal, console = opened.checked, opened.journal, opened.console
    journal.note_start(checked.question, command, str(checked.config_dir or ""))
    mlflow = open_recorder(
        checked.study, journal.key, checked.directory, checked.text, origin(), checked.config_dir
    )
    if mlflow.silence:
        _say_that_it_is_away(mlflow, console)
    is_first_start = not journal.trials()
    outcome = Outcome(checked.study, checked.text, checked.config_dir, journal, mlflow)
    try:
        mlflow.tell_again(journal.ended())
        if run_missing(checked, journal, mlflow, console):
            code = _end(checked, outcome, console)
            if is_first_start:
                leave_speeds(checked, _all_ended(checked, journal), journal.spent.seconds)
            return code
        outcome.tell("INTERRUPTED")
    except FailingTrialsError as error:
        outcome.tell("INTERRUPTED")
        console.print(f"stopped: {error}", markup=False, soft_wrap=True)
        console.print(f"go on with: {command}", markup=False, soft_wrap=True)
        return FAILED
    finally:
        journal.save_spent()
        mlflow.trials_stand(journal.orphans())
        _close(mlflow, console)
    console.print(f"stopped; resume with: {command}", markup=False, soft_wrap=True)
    return STOPPED


def _end(checked: CheckedStudy, outcome: Outcome, console: Console) -> int:
    journal = outcome.journal
    outcome.test()
    page = write_report(material_of(journal), checked.directory / REPORT)
    console.print(f"report: {page}", markup=False, soft_wrap=True)
    records = journal.trials()
    print_result(
        console,
        checked.study,
        records,
        checked.shown_metrics,
        checked.config_dir,
        checked.heads,
        outcome.confirmation(),
    )
    try:
        registered = outcome.publish(page.parent)
        if registered and registered.why_not:
            console.print(f"registered: {registered}", markup=False, soft_wrap=True)
    except NoAnswerError as error:
        console.print(
            f"MLflow is away ({error}): the same command registers the model",
            markup=False,
            soft_wrap=True,
        )
    return DONE if best_of(records, checked.study.selection) else FAILED


def _all_ended(checked: CheckedStudy, journal: Journal) -> list[TrialRecord]:
    """Trials and runs that confirm them: all that a start's time went into."""
    confirm = checked.study.confirm
    if confirm is None:
        return journal.ended()
    runs = journal.confirmations(study_of_runs(checked.study, confirm))
    return [*journal.ended(), *runs.ended()]


def _say_that_it_is_away(mlflow: MlflowObserver, console: Console) -> None:
    console.print(
        f"{mlflow.silence}; the sweep goes on, and tells it everything once it answers",
        markup=False,
        soft_wrap=True,
    )


def _close(mlflow: MlflowObserver, console: Console) -> None:
    pending = mlflow.close()
    if pending:
        console.print(
            f"MLflow is away ({mlflow.recorder.last_error}): {pending} updates wait; the same "
            "command delivers them and registers the model",
            markup=False,
        )


def _begin(
    checked: CheckedStudy, journal: Journal, *, accepts_changes: bool = False
) -> list[Difference]:
    """What of the study has changed since its journal was opened last.

    If no trial has been started, baselines and given trials wait in the journal from here on.
    """
    study, base = checked.study, checked.base
    data = {
        "fingerprint": fingerprint(Path(base.data.data_dir)),
        "seed": base.data.seed,
        "val_fraction": base.data.val_fraction,
    }
    changes = journal.begin(dump_study(study), data, origin(), accepts_changes=accepts_changes)
    refuse_another_grid(study, journal.trials())
    if not journal.trials() and study.grid is None:
        compose = partial(compose_run, config_dir=checked.config_dir)
        for parameters in first_trials(study, checked.heads, compose):
            journal.enqueue(parameters)
    return changes
