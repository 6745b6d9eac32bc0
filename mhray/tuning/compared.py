"""TPE where trials are stopped early: it looks at the complete ones alone, once they are enough.

Optuna's TPE puts every stopped trial behind every complete one, however good it was, and calls the
best tenth of all good. Stopping leaves few complete trials among many stopped ones, so most of the
complete ones are called good, the worst of them too, and are what the next trial resembles.

So it is shown no stopped trial once enough are complete. Until then it is Optuna's own. BOHB models
the largest budget that has enough observations too, Falkner et al. 2018 (arXiv 1807.01774), section
4.1. Other than there, no lower budget is modelled before, and enough does not depend on how many
values are drawn.

The journal does not change: a stopped trial is pruned there, with its values. What TPE looks at
is a study in memory that holds the other trials, in their order.
"""

import logging
from collections.abc import Sequence
from copy import copy
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState
from typing_extensions import override

ENOUGH = 20  # a study of the usual size is searched as Optuna does; other rules: docs/search.md
ANNOUNCES = "optuna.storages._in_memory"  # says of each study in memory that it was made


class ComparingTPE(TPESampler):
    """TPE that looks at complete trials alone, and at those that run, once they are enough.

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

    def compared(self, trials: Sequence[FrozenTrial]) -> Sequence[FrozenTrial]:
        """What TPE looks at of a study's trials."""
        return comparable(trials, self._enough)

    def _seen(self, study: optuna.Study, trial: FrozenTrial) -> tuple[optuna.Study, FrozenTrial]:
        """The study as TPE is to look at it, and in it the trial that it draws for."""
        trials = study.get_trials(deepcopy=False)
        compared = self.compared(trials)
        if compared == trials:
            return study, trial
        seen = optuna.create_study(direction=study.direction)
        seen.add_trials(map(_bare, compared))
        place = [one.number for one in compared].index(trial.number)
        return seen, seen.get_trials(deepcopy=False)[place]


def comparable(trials: Sequence[FrozenTrial], enough: int) -> Sequence[FrozenTrial]:
    """All trials but the stopped ones, if enough are complete; else all."""
    complete = sum(one.state == TrialState.COMPLETE for one in trials)
    if complete < enough:
        return trials
    return [one for one in trials if one.state != TrialState.PRUNED]


def _bare(trial: FrozenTrial) -> FrozenTrial:
    """The trial without what the journal notes of it, which takes longer to copy than all else."""
    bare = copy(trial)
    bare.user_attrs = {}
    return bare
