"""ASHA that gives up no trial that is better at something.

The mean over heads hides what a front is made of: a trial that is behind on the mean may be the
best on one head. Here a trial that ASHA would stop goes on unless another one that came to the same
rung is at least as good on every head and better on one. If that one was stopped itself, a third
was better still; so among those that dominate a stopped trial there is always one that was kept.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

from typing_extensions import override

from mhray.tuning.asha import ASHA
from mhray.tuning.front import dominates
from mhray.tuning.record import TrialRecord

Accuracies: TypeAlias = tuple[float, ...]


class HeadsASHA(ASHA):
    """ASHA by ``select`` that stops a trial only if one that came as far dominates it.

    A trial's accuracies are those of its best epoch so far by ``select``, as in its result.

    Args:
        past: what the journal holds.
        heads: the heads to compare; all trials log their accuracies.
    """

    def __init__(self, past: Sequence[TrialRecord], heads: Sequence[str], **options: Any) -> None:
        super().__init__(past, **options)
        self._names = [f"metrics/val/{head}_acc" for head in heads]
        self._best: dict[str, tuple[float, Accuracies]] = {}
        self._came: dict[int, dict[str, Accuracies]] = defaultdict(dict)

    @override
    def _decide(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        action = super()._decide(tune_controller, trial, result)
        if "epoch" not in result:
            return action
        own = self._best_so_far(trial.trial_id, result)
        came = self._came[result["epoch"]]
        came[trial.trial_id] = own
        if action == self.CONTINUE or result["epoch"] >= self._max_t:
            return action
        is_dominated = any(dominates(other, own) for other in came.values())
        return action if is_dominated else self.CONTINUE

    def _best_so_far(self, trial_id: str, result: dict[str, Any]) -> Accuracies:
        value, accuracies = self._best.get(trial_id, (None, ()))
        if value != result["best"]:
            accuracies = tuple(result[name] for name in self._names)
            self._best[trial_id] = result["best"], accuracies
        return accuracies
