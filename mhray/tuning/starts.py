"""What Tune tells no searcher: that trials start, are tried again, and hold their GPUs."""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.tuning.failures import Failure
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.limits import Limits
from mhray.tuning.progress import Progress
from mhray.tuning.search import Observer, SearchPlan


class HeldGpus(Callback):
    """Tells the limits how many trials hold their GPUs, at each step of Tune's loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        self._limits.hold(sum(trial.status == Trial.RUNNING for trial in trials))

    def __getstate__(self) -> dict[str, Any]:
        return {}


class StartsAndRetries(Callback):
    """Tells journal and observers what Tune tells no searcher: starts and retries."""

    def __init__(
        self,
        journal: Journal,
        search: SearchPlan,
        observers: list[Observer],
        progress: Progress,
        guard: Guard,
    ) -> None:
        self._journal = journal
        self._directory_of = search.trial_directory
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
            failure = Failure.read(self._directory_of(number))
            self._progress.trial_retried(number, failure.headline)

    def __getstate__(self) -> dict[str, Any]:
        return {}
