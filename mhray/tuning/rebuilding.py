"""MLflow made anew from a study's journal, for a store that is lost, incomplete or another one.

All that a sweep told MLflow is told again, at the times at which it happened. So a run that is
there and agrees stays as it is, and one that is not there is made. What was told takes the place of
the study's outbox, from which later starts go on.
"""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from mhray.errors import StorageError
from mhray.tuning.checked_study import CheckedStudy
from mhray.tuning.journal import Journal
from mhray.tuning.outcome import Outcome
from mhray.tuning.page.material import material_of
from mhray.tuning.page.wording import counted
from mhray.tuning.page.writing import REPORT, write_report
from mhray.tuning.recording import OUTBOX, MlflowObserver, open_recorder

DRAFT = "rebuilt.jsonl"
STALLED_SECONDS = 30.0


@dataclass(frozen=True)
class Rebuilding:
    """One study, whose journal is told to MLflow again."""

    checked: CheckedStudy
    journal: Journal
    console: Console

    def rebuild(self) -> None:
        """Make MLflow agree with the journal.

        Raises:
            StorageError: MLflow cannot be reached, or holds what it does not let anyone change.
        """
        for path in self._drafts():
            path.unlink(missing_ok=True)
        mlflow = self._open()
        try:
            self._tell(mlflow)
            _deliver(mlflow)
            if self._is_over(mlflow):
                page = write_report(material_of(self.journal), self.checked.directory / REPORT)
                self._outcome(mlflow).publish(page.parent, anew=True)
            _refuse_disagreements(mlflow)
        finally:
            mlflow.close()
        for path in self._drafts():
            path.replace(path.with_name(path.name.replace(DRAFT, OUTBOX)))
        runs = counted(len(self.journal.trials()), "trial")
        self.console.print(f"MLflow agrees with the journal: {runs}", markup=False)

    def _drafts(self) -> list[Path]:
        # The position goes first: alone it is no longer than the file that it belongs to.
        return [self.checked.directory / f"{DRAFT}{suffix}" for suffix in (".position", "")]

    def _open(self) -> MlflowObserver:
        checked = self.checked
        return open_recorder(
            checked.study,
            self.journal.key,
            checked.directory,
            checked.text,
            self.journal.origin,
            checked.config_dir,
            file=DRAFT,
            at=min(record.began for record in self.journal.trials()),
            needs_answer=True,
        )

    def _tell(self, mlflow: MlflowObserver) -> None:
        outcome = self._outcome(mlflow)
        _tell_all(self.journal, mlflow)
        if outcome.runs is not None:
            _tell_all(outcome.runs, mlflow.of_confirmations())
        if not self._is_over(mlflow):
            outcome.tell("INTERRUPTED", self.journal.ended())

    def _is_over(self, mlflow: MlflowObserver) -> bool:
        # Hours may have ended it before its trials did.
        has_all = len(self.journal.ended()) >= self.checked.study.budget.trials
        has_all = has_all and self._outcome(mlflow).is_confirmed()
        return has_all or bool(self.journal.published())

    def _outcome(self, mlflow: MlflowObserver) -> Outcome:
        checked = self.checked
        return Outcome(checked.study, checked.text, checked.config_dir, self.journal, mlflow)


def _tell_all(journal: Journal, mlflow: MlflowObserver) -> None:
    ended, standing = journal.ended(), journal.orphans()
    mlflow.tell_again(ended)
    for record in ended:
        if record.test:
            mlflow.recorder.trial_tested(record.number, record.test, record.ended)
    for record in standing:
        if record.starts:
            mlflow.trial_started(record)
    mlflow.trials_stand(standing)


def _deliver(mlflow: MlflowObserver) -> None:
    waiting, before = mlflow.recorder.flush(STALLED_SECONDS), 0
    while waiting:
        waiting, before = mlflow.recorder.flush(STALLED_SECONDS), waiting
        if waiting >= before:
            raise StorageError(
                f"MLflow takes nothing ({mlflow.recorder.last_error}): {waiting} updates wait; "
                "run the same command again when it does"
            )


def _refuse_disagreements(mlflow: MlflowObserver) -> None:
    if found := mlflow.recorder.disagreements():
        lines = "\n".join(f"  {line}" for line in found)
        raise StorageError(
            f"mlflow: what it holds cannot be changed to what the journal holds:\n{lines}\n"
            "delete these runs there, and run the same command again"
        )
