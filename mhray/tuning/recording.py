"""What the journal holds, told to MLflow.

The journal is told first, always. MLflow hears the same again at every start, and what it has heard
before changes nothing; so a crash between the two is mended by the next start.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from typing_extensions import override

from mhray.errors import NoAnswerError, without_password
from mhray.training.epoch_row import EpochRow
from mhray.training.outbox import last_destination
from mhray.training.recorder import NOTHING, StudyEnd, StudyRecorder, TrialEnd
from mhray.training.selection import Selection
from mhray.training.tracking import Tracking, expect_tracking
from mhray.tuning.record import TrialRecord
from mhray.tuning.search import Observer
from mhray.tuning.study import Study

OUTBOX = "mlflow.jsonl"
CLOSING_SECONDS = 30.0
END_STATES: dict[str, TrialEnd] = {"COMPLETE": "COMPLETE", "PRUNED": "PRUNED", "FAIL": "FAIL"}


class MlflowObserver(Observer):
    """Tells MLflow what happens to a study's trials.

    Attributes:
        tracking: where to.
        recorder: the study's.
        silence: why the store did not answer at the start; empty if it did, or was not asked.
    """

    def __init__(
        self,
        tracking: Tracking,
        recorder: StudyRecorder,
        selection: Selection,
        config_dir: Path | None,
        silence: str = "",
    ) -> None:
        self._config_dir = config_dir
        self.silence = silence
        self.tracking = tracking
        self.recorder = recorder
        self._selection = selection

    @property
    def study_run_id(self) -> str:
        """The study's own MLflow run; empty as long as MLflow has not answered."""
        return self.recorder.study_run_id or ""

    def run_id_of(self, number: int) -> str:
        """A trial's MLflow run; empty as long as MLflow has not answered."""
        return self.recorder.run_id_of(number) or ""

    def of_confirmations(self) -> "MlflowObserver":
        """The same for the runs that confirm the study's best."""
        recorder = self.recorder.of_confirmations()
        return MlflowObserver(self.tracking, recorder, self._selection, self._config_dir)

    @override
    def trial_started(self, record: TrialRecord) -> None:
        tags = {"mhray.starts": str(record.starts)}
        if record.candidate:
            tags["mhray.candidate"] = record.candidate
        self.recorder.trial_started(
            record.number,
            record.overrides,
            record.seed,
            tags,
            self._config_dir,
            record.drawn,
            record.began,
        )
        # A driver that was killed may have told the journal of epochs, and MLflow not yet.
        for row in record.epochs:
            self.recorder.epoch_ended(record.number, row)

    @override
    def epoch_ended(self, number: int, row: EpochRow) -> None:
        self.recorder.epoch_ended(number, row)

    @override
    def trial_ended(self, record: TrialRecord) -> None:
        metrics = record.best_epoch(self._selection).metrics if record.epochs else {}
        self.recorder.trial_ended(
            record.number,
            END_STATES[record.state],
            metrics,
            record.seconds,
            record.failure,
            record.ended,
            record.rung,
        )

    def tell_again(self, records: list[TrialRecord]) -> None:
        """Tell all that has ended; what MLflow knows already changes nothing."""
        for record in records:
            if not self.recorder.has_ended(record.number):
                self.trial_started(record)
                self.trial_ended(record)

    def trials_stand(self, records: Sequence[TrialRecord]) -> None:
        """Tell which trials are neither running any more nor at their end."""
        for record in records:
            since = record.epochs[-1].time if record.epochs else record.began
            self.recorder.trial_interrupted(record.number, since)

    def study_ended(
        self,
        state: StudyEnd,
        best: TrialRecord | None,
        ended: Sequence[TrialRecord] = (),
        summary: Mapping[str, float] = NOTHING,
        note: str = "",
    ) -> None:
        """Tell how this start of the study ended: now, or with the last of its trials."""
        metrics = best.best_epoch(self._selection).metrics | best.test if best else {}
        tags = {"mhray.best_trial": best.candidate or str(best.number)} if best else {}
        at = max((record.ended for record in ended), default=0.0)
        self.recorder.study_ended(state, metrics, tags, at, summary, note)

    def close(self) -> int:
        """Deliver what waits; returns how many updates still do."""
        return self.recorder.close(CLOSING_SECONDS)


def open_recorder(
    study: Study,
    key: str,
    directory: Path,
    text: str,
    origin: dict[str, str],
    config_dir: Path | None,
    file: str = OUTBOX,
    at: float = 0.0,
    *,
    needs_answer: bool = False,
) -> MlflowObserver:
    """MLflow, opened for a study, with the study's own run started.

    ``file`` of the directory keeps what MLflow has not been told yet; ``at`` is when the study
    started, 0 for now.

    A server that does not answer is not waited for: it gets everything when it does. One that has
    answered in an earlier start is not even asked.

    Raises:
        StorageError: the write-ahead file or the store cannot be opened.
        NoAnswerError: an answer is needed, and the server does not give one.
    """
    path, uri = directory / file, study.mlflow.tracking_uri
    tracking = expect_tracking(uri, study.name, directory / "mlflow-artifacts")
    has_answered = not needs_answer and _was_at(uri, path)
    silence = "" if has_answered else _silence_of(tracking)
    if silence and needs_answer:
        raise NoAnswerError(silence)
    may_be_away = has_answered or bool(silence)
    recorder = StudyRecorder(tracking, study.name, key, path, may_be_away=may_be_away)
    tags = {f"mhray.{name}": value for name, value in origin.items()}
    recorder.study_started(text, {}, tags, at)
    return MlflowObserver(tracking, recorder, study.selection, config_dir, silence)


def _silence_of(tracking: Tracking) -> str:
    try:
        _ = tracking.experiment
    except NoAnswerError as error:
        return str(error)
    return ""


def _was_at(uri: str, outbox: Path) -> bool:
    """Whether a server has answered there before."""
    is_server = uri.startswith(("http://", "https://"))
    return is_server and last_destination(outbox).startswith(f"{without_password(uri)} ")
