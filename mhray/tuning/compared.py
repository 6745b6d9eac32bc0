"""TPE where trials are stopped early: it compares trials that came equally far.

Optuna's TPE puts every stopped trial behind every complete one, however good it was, and calls the
best tenth of all good. Stopping leaves few complete trials among many stopped ones, so most of the
complete ones are called good, the worst of them too, and are what the next trial resembles.

Here it looks at the complete trials alone, once they are enough. Until then it looks at the values
of the last epoch that enough trials have finished, as if all had ended there. That is how BOHB
chooses the budget that it models, Falkner et al. 2018 (arXiv 1807.01774), section 4.1. Other than
there, enough does not depend on how many values are drawn.

The journal does not change: a stopped trial is pruned there, with its values. What TPE looks at
is a study in memory that holds those trials alone, in their order.
"""

import logging
from collections.abc import Sequence
from copy import copy
from math import isnan
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

ENOUGH = 20  # of the numbers that were tried the one with which most was found: docs/search.md
ANNOUNCES = "optuna.storages._in_memory"  # says of each study in memory that it was made


class ComparingTPE(TPESampler):
    """TPE that looks at trials which came equally far.

    Args:
        startup_trials: random trials before the first that is estimated.
        options: others of Optuna's.
    """

    def __init__(self, startup_trials: int, **options: Any) -> None:
        super().__init__(n_startup_trials=startup_trials, **options)
        self._enough = max(startup_trials, ENOUGH)
        logging.getLogger(ANNOUNCES).setLevel(logging.WARNING)

    @override
    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return super().sample_relative(*self._seen(study, trial), search_space)

    @override
    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        seen = self._seen(study, trial)
        return super().sample_independent(*seen, param_name, param_distribution)

    def compared(self, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """What TPE looks at of a study's trials; of those that run, all."""
        return comparable(trials, self._enough)

    def _seen(self, study: optuna.Study, trial: FrozenTrial) -> tuple[optuna.Study, FrozenTrial]:
        """The study as TPE is to look at it, and in it the trial that it draws for."""
        trials = study.get_trials(deepcopy=False)
        if all(one.state != TrialState.PRUNED for one in trials):
            return study, trial
        compared = sorted(self.compared(trials), key=lambda one: one.number)
        seen = optuna.create_study(direction=study.direction)
        seen.add_trials(map(_bare, compared))
        place = [one.number for one in compared].index(trial.number)
        return seen, seen.get_trials(deepcopy=False)[place]


def comparable(trials: Sequence[FrozenTrial], enough: int) -> list[FrozenTrial]:
    """Trials of a study with one objective that can be compared, and those that run.

    The complete ones, if they are enough. Else those that finished the last epoch that enough of
    them have, each complete with its value there. Else all.
    """
    ended = [one for one in trials if one.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    running = [one for one in trials if one.state == TrialState.RUNNING]
    complete = [one for one in ended if one.state == TrialState.COMPLETE]
    if len(complete) >= enough:
        return complete + running
    epochs = {epoch for one in ended for epoch in one.intermediate_values}
    for epoch in sorted(epochs, reverse=True):
        came = [one for one in ended if not isnan(one.intermediate_values.get(epoch, float("nan")))]
        if len(came) >= enough:
            return [_ended_at(epoch, one) for one in came] + running
    return ended + running


def _ended_at(epoch: int, trial: FrozenTrial) -> FrozenTrial:
    ended = copy(trial)
    ended.state = TrialState.COMPLETE
    ended.value = trial.intermediate_values[epoch]
    return ended


def _bare(trial: FrozenTrial) -> FrozenTrial:
    """The trial without what the journal notes of it, which takes longer to copy than all else."""
    bare = copy(trial)
    bare.user_attrs = {}
    return bare
