"""The median stopping rule, with a memory: past epochs count, whoever trained them."""

from collections import defaultdict
from collections.abc import Sequence
from math import inf
from typing import Any

from ray.tune.schedulers import MedianStoppingRule
from typing_extensions import override

from mhray.tuning.record import BASELINE, TrialRecord


class MedianStopping(MedianStoppingRule):
    """Stops a trial whose best value is worse than the median of the others' running averages.

    Golovin et al. 2017, section 3.2.2. As in Ray, all trials that came as far are compared, not
    only complete ones. Trial 0 is compared with and never stopped.

    Args:
        past: what the journal holds.
        metric: as the run logs it.
    """

    def __init__(self, past: Sequence[TrialRecord], metric: str, **options: Any) -> None:
        # Else Ray pauses a trial that lacks others to be compared with.
        endless: Any = inf
        super().__init__("epoch", f"metrics/{metric}", min_time_slice=endless, **options)
        self._name = metric
        self._past = {record.number: record for record in past}
        self._reached: dict[str, int] = defaultdict(int)

    @override
    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        super().on_trial_add(tune_controller, trial)
        record = self._past.get(trial.config["number"])
        for row in record.epochs if record else ():
            result = {"epoch": row.epoch, f"metrics/{self._name}": row.metrics[self._name]}
            self._remember(tune_controller, trial, result)

    @override
    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        # A trial that goes on reports its last epoch once more.
        if result.get("epoch", 0) <= self._reached[trial.trial_id]:
            return self.CONTINUE
        if trial.config["number"] == BASELINE:
            self._remember(tune_controller, trial, result)
            return self.CONTINUE
        self._reached[trial.trial_id] = result["epoch"]
        action: str = super().on_trial_result(tune_controller, trial, result)
        return action

    @override
    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Nothing: the last result is known already."""

    def _remember(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        if result["epoch"] > self._reached[trial.trial_id]:
            self._reached[trial.trial_id] = result["epoch"]
            super().on_trial_complete(tune_controller, trial, result)
