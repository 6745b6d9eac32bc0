"""Ends trials that make no progress.

A worker that waits for ever, for a lock, a disk or another worker, looks like one that works, and
holds its place until someone notices. Tune has no limit for the time between two results.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.tuning.failures import Failure, Lost
from mhray.tuning.guard import Guard


class EndStalled(Callback):
    """Has Ray end the process of a trial that finished no epoch for too long.

    Args:
        minutes: since its start or its last epoch; null: for ever.
        directory_of: where a trial's failure is written.
    """

    def __init__(
        self, minutes: float | None, directory_of: Callable[[int], Path], guard: Guard
    ) -> None:
        self._minutes = minutes
        self._directory_of = directory_of
        self._guard = guard
        self._moved: dict[str, float] = {}

    @override
    def on_trial_start(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        self._moved[trial.trial_id] = time.monotonic()

    @override
    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self._moved[trial.trial_id] = time.monotonic()

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if self._minutes is None:
            return
        with self._guard:
            for trial in trials:
                if trial.status == Trial.RUNNING and self._has_stalled(trial, self._minutes):
                    self._end(trial, self._minutes)

    def _has_stalled(self, trial: Trial, minutes: float) -> bool:
        now = time.monotonic()
        return now - self._moved.setdefault(trial.trial_id, now) > 60 * minutes

    def _end(self, trial: Trial, minutes: float) -> None:
        actor = trial.temporary_state.ray_actor
        if actor is None:
            return
        word = f"stalled: no epoch ended in resources.stall_minutes, {minutes:g}"
        directory = self._directory_of(trial.config["number"])
        directory.mkdir(parents=True, exist_ok=True)
        Failure(f"{Lost.__name__}: stalled", word, "", word).write(directory)
        # Its end reaches Tune as that of any actor that dies; until then it is not ended again.
        self._moved[trial.trial_id] = time.monotonic()
        ray.kill(actor)

    def __getstate__(self) -> dict[str, Any]:
        return {}
