"""The trials of a study in a space that has grown since they were drawn.

Optuna keeps with each trial the ranges and choices that it was drawn from. It refuses other choices
in the same study, and TPE samples within the ranges of the first trial for ever, however wide they
have become. So trials get the distributions of the new space; what they drew stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, create_trial

from mhray.tuning.distributions import Distribution
from mhray.tuning.space import inside

# CMA-ES writes where it is in the space that it began in: in another one it begins anew.
PLACES = ("cma:",)


def optuna_distributions(
    space: Mapping[str, Distribution], scope: str = ""
) -> dict[str, BaseDistribution]:
    """What trials of a space draw from, by Optuna's names; all options included.

    >>> optuna_distributions({})
    {}
    """
    asked = _Asked()
    for path, distribution in space.items():
        distribution.draw(path, asked, scope)
        for option, below in distribution.options().items():
            asked.found |= optuna_distributions(below, inside(scope, path, option))
    return asked.found


def translated(trial: FrozenTrial, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    """The same trial, drawn from these distributions."""
    made = create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions={name: distributions[name] for name in trial.params},
        user_attrs=trial.user_attrs,
        system_attrs={
            name: value for name, value in trial.system_attrs.items() if not name.startswith(PLACES)
        },
        intermediate_values=trial.intermediate_values,
    )
    made.datetime_start, made.datetime_complete = trial.datetime_start, trial.datetime_complete
    return made


class _Asked:
    """A trial that remembers what it was asked for."""

    def __init__(self) -> None:
        self.found: dict[str, BaseDistribution] = {}

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        self.found[name] = FloatDistribution(low, high, log=log)
        return low

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.found[name] = IntDistribution(low, high)
        return low

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.found[name] = CategoricalDistribution(choices)
        return choices[0]
