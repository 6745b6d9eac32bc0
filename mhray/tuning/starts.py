"""What Tune tells no searcher: that trials start, are tried again, and hold their GPUs."""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.training.epoch_row import EpochRow
from mhray.training.trial_files import TrialFiles
from mhray.tuning.failures import Failure
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.limits import Limits
from mhray.tuning.progress import Progress
from mhray.tuning.record import TrialRecord
from mhray.tuning.search import Observer


class HeldGpus(Callback):
    """Tells the limits how many trials hold their GPUs, at each step of Tune's loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._limits.hold(sum(trial.status == Trial.RUNNING for trial in trials))

    def __getstate__(self) -> dict[str, Any]:
        return {}


class RetriesAnew(Callback):
    """Gives a trial all of its retries again with each epoch that it gets further.

    Tune counts what a trial loses from its first epoch to its last, and machines that are cheap
    because they may leave would use that up sooner or later. What fails at one place ends there.
    """

    def __init__(self) -> None:
        self._trials: dict[int, Trial] = {}

    @override
    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._trials[trial.config["number"]] = trial

    def trial_started(self, record: TrialRecord) -> None:
        """It has not got further yet."""

    def epoch_ended(self, number: int, row: EpochRow) -> None:  # noqa: ARG002  an observer's
        """It has: one that ends an epoch again is not heard of."""
        self._trials[number].run_metadata.num_failures = 0

    def trial_ended(self, record: TrialRecord) -> None:
        """It needs none."""
        self._trials.pop(record.number, None)

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StartsAndRetries(Callback):
    """Tells journal and observers what Tune tells no searcher: starts and retries."""

    def __init__(
        self,
        journal: Journal,
        files: TrialFiles,
        observers: list[Observer],
        progress: Progress,
        guard: Guard,
    ) -> None:
        self._journal = journal
        self._files = files
        self._observers = observers
        self._progress = progress
        self._guard = guard

    @override
    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with self._guard:
            number = trial.config["number"]
            self._journal.count_start(number)
            for observer in self._observers:
                observer.trial_started(self._journal.trial(number))

    @override
    def on_trial_recover(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with self._guard:
            number = trial.config["number"]
            self._files.hear(number)
            failure = Failure.read(self._files.directory(number))
            self._progress.trial_retried(number, failure.headline)

    def __getstate__(self) -> dict[str, Any]:
        return {}
