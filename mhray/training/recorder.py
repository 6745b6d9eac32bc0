"""The story of a study as MLflow runs: one run for the study, and under it one run per trial.

The only thing that a sweep talks to. Everything here returns at once: it adds to the outbox, and
the courier delivers. A trial keeps its run however often it is started, because its key is made of
the study and its number; and an epoch or an end that was recorded is not recorded again, so a sweep
that resumes may simply tell what its journal holds. Times come from the journal as well (seconds
since 1970, 0 for now): the same point at the same time is one point, however often it is told.
"""

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mhray.training.agreement import disagreements
from mhray.training.epoch_row import EpochRow
from mhray.training.fitting import (
    LONGEST_TAG,
    best_metrics,
    cut,
    fitting_metrics,
    fitting_params,
    fitting_tags,
    note_of_run,
)
from mhray.training.origin import reproduce_line
from mhray.training.outbox import Courier, Outbox, RunUpdate
from mhray.training.tracking import Tracking

# As in the journal: complete, stopped early, failed.
TrialEnd: TypeAlias = Literal["COMPLETE", "PRUNED", "FAIL"]
StudyEnd: TypeAlias = Literal["COMPLETE", "INTERRUPTED", "FAIL"]

# What was stopped early did not fail, and the UI has one red cross for KILLED and FAILED.
STATUS = {"COMPLETE": "FINISHED", "PRUNED": "FINISHED", "INTERRUPTED": "KILLED", "FAIL": "FAILED"}

TRIAL_ENDS = ("COMPLETE", "PRUNED", "FAIL")

NOTE = "mlflow.note.content"  # shown as Markdown in the UI
NOTHING: Mapping[str, float] = {}


@dataclass(frozen=True)
class Kind:
    """What the runs below a study's are.

    Attributes:
        noun: what one is called, before its number.
        tag: which holds that number.
        prefix: of its key, before the number.
    """

    noun: str
    tag: str
    prefix: str = ""


TRIALS = Kind("trial", "mhray.trial")
CONFIRMATIONS = Kind("confirmation", "mhray.confirm", "confirm/")


class StudyRecorder:
    """Records one study in MLflow.

    Args:
        tracking: where to.
        study: the study's name.
        key: tells this study from others of its name; the same whenever it is resumed.
        path: the outbox, `mlflow.jsonl` in the study's directory.
        may_be_away: whether the store is opened in the background, when it answers.

    Raises:
        StorageError: `path` cannot be written.
    """

    def __init__(
        self, tracking: Tracking, study: str, key: str, path: Path, *, may_be_away: bool = False
    ) -> None:
        digest = hashlib.sha256(f"{study}\n{key}".encode()).hexdigest()[:12]
        self._tracking = tracking
        self._study = study
        self._key = f"{re.sub(r'[^A-Za-z0-9_.-]', '_', study)}-{digest}"
        self._outbox = Outbox(path)
        self._kind = TRIALS
        self._epochs: dict[str, int] = {}
        self._states: dict[str, str] = {}
        self._summary = RunUpdate(self._key, time=0, name="")
        for update in self._outbox.history():
            self._remember(update)
        if not may_be_away:
            self._find_destination()
        self._courier = Courier(self._outbox, tracking.deliver, self._find_destination)
        self._courier.start()

    @property
    def last_error(self) -> str:
        """Why MLflow cannot be reached now; empty while it can."""
        return self._courier.last_error

    @property
    def study_run_id(self) -> str | None:
        """The study's run; None until it is delivered."""
        return self._tracking.run_id(self._key)

    def run_id_of(self, number: int) -> str | None:
        """A trial's run; None until it is delivered, and for trials of earlier starts."""
        return self._tracking.run_id(self._of_trial(number).key)

    def of_confirmations(self) -> "StudyRecorder":
        """The same for the runs that confirm the study's best, which have numbers of their own."""
        other = copy(self)
        other._kind = CONFIRMATIONS  # noqa: SLF001  it is of this class
        return other

    def has_ended(self, number: int) -> bool:
        """Whether a trial's end is recorded."""
        return self._states.get(self._of_trial(number).key) in TRIAL_ENDS

    def study_started(
        self, study_file: str, params: Mapping[str, str], tags: Mapping[str, str], at: float = 0.0
    ) -> None:
        """Record that the study starts, or is resumed.

        MLflow never changes a param: what may differ between starts belongs in the tags.
        """
        note = f"```yaml\n{cut(study_file, LONGEST_TAG - 100)}\n```"
        ours = {"mhray.study": self._study, "mhray.state": "RUNNING", NOTE: note}
        self._add(
            self._of_study(at),
            status="RUNNING",
            params=fitting_params(params),
            tags=fitting_tags({**tags, **ours}),
        )

    def trial_started(
        self,
        number: int,
        overrides: Sequence[str],
        seed: int,
        tags: Mapping[str, str],
        config_dir: Path | None = None,
        drawn: Sequence[str] | None = None,
        at: float = 0.0,
    ) -> None:
        """Record that a trial starts, or is resumed.

        Its overrides are its params, those that it drew if it has taken others over since: MLflow
        never changes a param.
        """
        line = reproduce_line(overrides, seed, config_dir)
        ours = {
            self._kind.tag: str(number),
            "mhray.state": "RUNNING",
            "mhray.seed": str(seed),
            "mhray.reproduce": line,
            NOTE: note_of_run(self._kind.noun, overrides, line),
        }
        params = dict(override.partition("=")[::2] for override in drawn or overrides)
        self._add(
            self._of_trial(number, at),
            status="RUNNING",
            params=fitting_params(params),
            tags=fitting_tags({**tags, **ours}),
        )

    def epoch_ended(self, number: int, row: EpochRow) -> None:
        """Record an epoch's metrics, at the time at which it ended, unless that is done already."""
        run = self._of_trial(number)
        if row.epoch <= self._epochs.get(run.key, 0):
            return
        metrics = fitting_metrics(row.logged)
        self._add(run, time=_milliseconds(row.time), step=row.epoch, metrics=metrics)

    def trial_ended(
        self,
        number: int,
        state: TrialEnd,
        metrics: Mapping[str, float],
        duration_seconds: float,
        failure: str = "",
        at: float = 0.0,
        rung: int = 0,
    ) -> None:
        """Record how a trial ended, unless that is done already.

        `metrics` are those of its best epoch and get names that begin with `best/`: a chart of
        `val/acc_mean` ends with the last epoch. `rung` is the epoch at which it was stopped or
        complete; 0: neither.
        """
        run = self._of_trial(number, at)
        if self._states.get(run.key) == state:
            return
        failed = {"mhray.failure": failure} if failure else {}
        ended = {"mhray.rung": str(rung)} if rung else {}
        self._add(
            run,
            status=STATUS[state],
            metrics={**best_metrics(metrics), "duration_seconds": duration_seconds},
            tags=fitting_tags({"mhray.state": state, **ended, **failed}),
        )

    def trial_interrupted(self, number: int, at: float = 0.0) -> None:
        """Record that a trial stands, neither running nor at its end."""
        run = self._of_trial(number, at)
        if self._states.get(run.key) == "RUNNING":
            state = {"mhray.state": "INTERRUPTED"}
            self._add(run, status=STATUS["INTERRUPTED"], tags=state)

    def trial_tested(self, number: int, metrics: Mapping[str, float], at: float = 0.0) -> None:
        """Record a trial's `test/` metrics."""
        self._add(self._of_trial(number, at), metrics=fitting_metrics(metrics))

    def study_ended(
        self,
        state: StudyEnd,
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        at: float = 0.0,
        summary: Mapping[str, float] = NOTHING,
        note: str = "",
    ) -> None:
        """Record how this start of the study ended; `metrics` are those of its best trial.

        `summary` is the study's own, and `note`, in Markdown, takes the place of its file.
        """
        run, told = self._of_study(at), {**best_metrics(metrics), **fitting_metrics(summary)}
        self._add(
            run,
            time=self._time_of_summary(run.time, told),
            status=STATUS[state],
            metrics=told,
            tags=fitting_tags({**tags, "mhray.state": state, **({NOTE: note} if note else {})}),
        )

    def flush(self, deadline_seconds: float) -> int:
        """Wait until all is delivered, but no longer than the deadline; returns how much waits."""
        give_up = time.monotonic() + deadline_seconds
        while (pending := self._outbox.pending()) and time.monotonic() < give_up:
            time.sleep(0.05)
        return pending

    def close(self, deadline_seconds: float) -> int:
        """Deliver what waits, within the deadline; returns how many updates still wait.

        They stay in the outbox, and the next start of the study delivers them.
        """
        self._courier.close(deadline_seconds)
        self._outbox.close()
        return self._outbox.pending()

    def disagreements(self) -> list[str]:
        """What MLflow holds of this study's runs that is not what was told, once that is there."""
        return list(disagreements(self._tracking.runs(), self._outbox.history()))

    def _find_destination(self) -> None:
        self._outbox.go_to(self._tracking.destination)

    def _of_study(self, at: float = 0.0) -> RunUpdate:
        return RunUpdate(self._key, _milliseconds(at or time.time()), name=self._study)

    def _time_of_summary(self, now: int, metrics: Mapping[str, float]) -> int:
        """MLflow shows the latest values, so these come last, even if the clock was put back."""
        last = self._summary
        if now > last.time:
            return now
        return last.time if metrics == last.metrics else last.time + 1

    def _of_trial(self, number: int, at: float = 0.0) -> RunUpdate:
        key, name = f"{self._key}/{self._kind.prefix}{number}", f"{self._kind.noun} {number}"
        return RunUpdate(key, _milliseconds(at or time.time()), name, self._key)

    def _add(self, run: RunUpdate, **changes: Any) -> None:
        update = replace(run, **changes)
        self._outbox.add(update)
        self._remember(update)

    def _remember(self, update: RunUpdate) -> None:
        if update.key == self._key and update.metrics:
            self._summary = update
        self._epochs[update.key] = max(update.step, self._epochs.get(update.key, 0))
        if state := update.tags.get("mhray.state"):
            self._states[update.key] = state


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
