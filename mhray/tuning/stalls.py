"""Ends trials that make no progress.

A worker that waits for ever, for a lock, a disk or another worker, looks like one that works, and
holds its place until someone notices. Tune has no limit for the time between two results.
"""

import time
from math import inf
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.training.trial_files import TrialFiles
from mhray.tuning.failures import Failure, Lost
from mhray.tuning.guard import Guard


class Patience:
    """How long trials may go without an epoch.

    Args:
        minutes: null: for ever.
    """

    def __init__(self, minutes: float | None) -> None:
        self._seconds = inf if minutes is None else 60 * minutes
        self._moved: dict[str, float] = {}

    def moved(self, trial: str) -> None:
        """A trial has started or ended an epoch."""
        self._moved[trial] = time.monotonic()

    def is_over(self, trial: str) -> bool:
        """Whether a trial has stalled; said once, and again after as long."""
        now = time.monotonic()
        is_over = now - self._moved.setdefault(trial, now) > self._seconds
        if is_over:
            self._moved[trial] = now
        return is_over


class EndStalled(Callback):
    """Has Ray end the process of a trial that finished no epoch for too long.

    Args:
        minutes: since its start or its last epoch; null: for ever.
        files: among which a trial's failure is written.
    """

    def __init__(self, minutes: float | None, files: TrialFiles, guard: Guard) -> None:
        self._minutes = minutes
        self._patience = Patience(minutes)
        self._files = files
        self._guard = guard

    @override
    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._patience.moved(trial.trial_id)

    @override
    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._patience.moved(trial.trial_id)

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with self._guard:
            for trial in trials:
                if trial.status == Trial.RUNNING and self._patience.is_over(trial.trial_id):
                    self._end(trial)

    def _end(self, trial: Trial) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        word = f"stalled: no epoch ended in resources.stall_minutes, {self._minutes}"
        number = trial.config["number"]
        directory = self._files.directory(number)
        directory.mkdir(parents=True, exist_ok=True)
        Failure(f"{Lost.__name__}: stalled", word, "", word).write(directory)
        self._files.tell(number)
        # Its end reaches Tune as that of any actor that dies.
        ray.kill(actor)

    def __getstate__(self) -> dict[str, Any]:
        return {}
