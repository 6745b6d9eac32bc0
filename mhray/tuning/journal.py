"""The journal: the only reader and writer of a study's state, which lives in an Optuna storage.

What is finished is finished here first. Ray's state, MLflow and the report can be lost and rebuilt
from it, so nothing else needs to be durable, and resuming is opening the same journal again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import optuna
from optuna.samplers import BaseSampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, Trial, TrialState
from typing_extensions import override

from mhray.training.epoch_row import EpochRow
from mhray.tuning.lineage import as_run
from mhray.tuning.record import State, Takeover, TrialRecord
from mhray.tuning.storage import (
    directions_of,
    find_study,
    open_study,
    study_beside,
    study_in,
    writing,
)
from mhray.tuning.study import Study
from mhray.tuning.study_journal import StudyJournal

OVERRIDES = "overrides"
SEED = "seed"
EPOCHS = "epochs"
CHECKPOINT = "checkpoint"
MLFLOW_RUN_ID = "mlflow_run_id"
STARTS = "starts"
FAILURE = "failure"
TEST = "test"
TAKEOVERS = "takeovers"
CANDIDATE = "candidate"

STATES: tuple[State, ...] = ("COMPLETE", "PRUNED", "FAIL", "RUNNING")


class Journal(StudyJournal):
    """One study in its storage; use :meth:`open`."""

    @classmethod
    def open(cls, study: Study, directory: Path) -> "Journal":
        """Open a study's journal, creating it if need be.

        Raises:
            StorageError: the database cannot be opened or is not one.
        """
        opened, storage = open_study(study, directory)
        return cls(opened, storage, directions_of(study))

    @classmethod
    def find(cls, name: str, where: str) -> "Journal":
        """Open the journal of a study that was started before, to read it.

        Raises:
            StorageError: the storage cannot be opened, or has no study of this name.
        """
        found, storage = find_study(name, where)
        return cls(found, storage, found.directions)

    def confirmations(self, study: Study) -> "Confirmations":
        """The journal of the runs that confirm this one's best, in the same storage.

        ``study`` is the study as they see it: see :func:`mhray.tuning.confirmation.study_of_runs`.
        """
        directions = directions_of(study)
        opened = study_beside(self._storage, study.name, directions)
        return Confirmations(opened, self._storage, directions, self)

    def confirmed(self, study: Study) -> list[TrialRecord]:
        """The runs that confirm this one's best, for who only reads: none makes that journal."""
        opened = study_in(self._storage, study.name)
        if opened is None:
            return []
        return Confirmations(opened, self._storage, opened.directions, self).trials()

    def enqueue(self, params: Mapping[str, Any]) -> None:
        """Have a new trial draw these values, by Optuna's names, unless one draws them already."""
        with writing():
            self._study.enqueue_trial(dict(params), skip_if_exists=True)

    def ask(self, sampler: BaseSampler) -> Trial:
        """A new trial, whose values ``sampler`` chooses."""
        self._study.sampler = sampler
        with writing():
            return self._study.ask()

    def reopen(self, number: int, sampler: BaseSampler) -> Trial:
        """The Optuna trial of an orphan: values drawn before stay, others are drawn now."""
        self._study.sampler = sampler
        return Trial(self._study, self._id(number))

    def orphans(self) -> list[TrialRecord]:
        """The trials that were running when an earlier sweep ended, the oldest first."""
        return self.trials("RUNNING")

    def ended(self) -> list[TrialRecord]:
        """The trials that are finished for good, by number."""
        return self.trials("COMPLETE", "PRUNED", "FAIL")

    def describe(self, number: int, overrides: Sequence[str], seed: int) -> None:
        """Record what a new trial is, before it starts."""
        self._set(number, OVERRIDES, list(overrides))
        self._set(number, SEED, seed)

    def count_start(self, number: int) -> int:
        """Record that a trial is being started; returns how often it has been."""
        starts = self._attributes(number).get(STARTS, 0) + 1
        self._set(number, STARTS, starts)
        return int(starts)

    def add_epoch(self, number: int, row: EpochRow) -> bool:
        """Record an epoch, unless it is recorded already; returns whether it was new."""
        rows = self._attributes(number).get(EPOCHS, [])
        if any(recorded["epoch"] >= row.epoch for recorded in rows):
            return False
        self._set(number, EPOCHS, [*rows, asdict(row)])
        self._storage.set_trial_intermediate_value(self._id(number), row.epoch, row.best)
        self.save_spent()
        return True

    def take_over(self, takeovers: Sequence[Takeover]) -> None:
        """Record, all at once, that trials go on from other ones' checkpoints."""
        self._note(TAKEOVERS, [*self._study.user_attrs.get(TAKEOVERS, ()), *map(asdict, takeovers)])

    def end(
        self,
        number: int,
        state: State,
        *,
        value: float | Sequence[float] | None = None,
        checkpoint: str = "",
        mlflow_run_id: str = "",
        failure: str = "",
    ) -> None:
        """Commit a trial's end. Once this returns, the trial is finished for good.

        ``value`` is what a complete trial is told with: one number, or one for each objective.
        """
        self._set(number, CHECKPOINT, checkpoint)
        self._set(number, MLFLOW_RUN_ID, mlflow_run_id)
        self._set(number, FAILURE, failure)
        self.save_spent()
        with writing():
            self._study.tell(number, value, state=TrialState[state])

    def set_test(self, number: int, metrics: Mapping[str, float]) -> None:
        """Record a trial's ``test/`` metrics."""
        self._set_late(number, TEST, dict(metrics))

    def set_mlflow_run_id(self, number: int, run_id: str) -> None:
        """Record a trial's MLflow run, if MLflow was away when the trial ended."""
        self._set_late(number, MLFLOW_RUN_ID, run_id)

    def forget_checkpoint(self, number: int) -> None:
        """Record that the checkpoints of a finished trial are deleted."""
        self._set_late(number, CHECKPOINT, "")

    def trials(self, *states: State) -> list[TrialRecord]:
        """The trials in these states (all if none is named), by number."""
        wanted = [TrialState[state] for state in states or STATES]
        found = self._study.get_trials(deepcopy=False, states=wanted)
        # Read once: asking a database for them takes as long as all else of a trial.
        noted = self._study.user_attrs
        return [self._record(trial, noted) for trial in found]

    def trial(self, number: int) -> TrialRecord:
        """One trial."""
        return self._record(self._storage.get_trial(self._id(number)), self._study.user_attrs)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _attributes(self, number: int) -> dict[str, Any]:
        return self._storage.get_trial(self._id(number)).user_attrs

    def _set(self, number: int, name: str, value: Any) -> None:
        with writing():
            self._storage.set_trial_user_attr(self._id(number), name, value)

    def _set_late(self, number: int, name: str, value: Any) -> None:
        """Record what becomes known of a finished trial, which Optuna lets nobody change."""
        self._note(f"{name}:{number}", value)

    def _record(self, trial: FrozenTrial, noted: Mapping[str, Any]) -> TrialRecord:
        keys = {name: f"{name}:{trial.number}" for name in (CHECKPOINT, MLFLOW_RUN_ID, TEST)}
        record = _record(trial, {name: noted[key] for name, key in keys.items() if key in noted})
        return as_run(record, noted.get(TAKEOVERS, ()), lambda n: self._attributes(n)[EPOCHS])


class Confirmations(Journal):
    """The runs that confirm a study's best trials; what they spend is the study's.

    They are an Optuna study of their own, so that no sampler learns from them and none counts as a
    trial.
    """

    def __init__(
        self,
        study: optuna.Study,
        storage: BaseStorage,
        directions: Sequence[StudyDirection],
        main: Journal,
    ) -> None:
        super().__init__(study, storage, directions)
        self._main = main
        self.spent = main.spent

    @override
    def save_spent(self) -> None:
        self._main.save_spent()

    def add(self, candidate: str, overrides: Sequence[str], seed: int) -> TrialRecord:
        """A new run, which stands as an orphan until it is started."""
        with writing():
            # One that was cut off before it was described becomes this one.
            empty = [orphan.number for orphan in self.orphans() if not orphan.overrides]
            number = empty[0] if empty else self._study.ask().number
        self._set(number, CANDIDATE, candidate)
        self.describe(number, overrides, seed)
        return self.trial(number)


def relocated(trial: FrozenTrial, before: Path, after: Path) -> FrozenTrial:
    """The same trial, after its study's directory has moved."""
    checkpoint = Path(trial.user_attrs.get(CHECKPOINT, ""))
    if checkpoint.is_relative_to(before):
        trial.set_user_attr(CHECKPOINT, str(after / checkpoint.relative_to(before)))
    return trial


def _record(trial: FrozenTrial, late: Mapping[str, Any]) -> TrialRecord:
    attributes = {**trial.user_attrs, **late}
    return TrialRecord(
        number=trial.number,
        state=cast("State", trial.state.name),
        overrides=tuple(attributes.get(OVERRIDES, ())),
        seed=attributes.get(SEED, 0),
        params=dict(trial.params),
        epochs=tuple(EpochRow(**row) for row in attributes.get(EPOCHS, ())),
        checkpoint=attributes.get(CHECKPOINT, ""),
        mlflow_run_id=attributes.get(MLFLOW_RUN_ID, ""),
        starts=attributes.get(STARTS, 0),
        failure=attributes.get(FAILURE, ""),
        test=attributes.get(TEST, {}),
        began=_seconds(trial.datetime_start),
        ended=_seconds(trial.datetime_complete),
        candidate=attributes.get(CANDIDATE, ""),
    )


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0
