"""What is typed after ``python -m mhray.train`` for a trial: what all have, and what it drew.

Neither Optuna nor Ray is needed to show what trials could be.
"""

import random
from collections.abc import Sequence
from math import exp, log
from typing import Any, Protocol

from mhray.tuning.distributions import Draw, Suggester
from mhray.tuning.grid import parameters_of, seed_of
from mhray.tuning.space import draw, format_override
from mhray.tuning.study import Study

# Of the run's config, so that an override which changes nothing is not typed.
DEFAULTS = {
    "select.metric": "val/acc_mean",
    "select.mode": "max",
    "workers": 1,
    "per_worker.cpus": 1,
    "per_worker.gpus": 0,
    "per_worker.memory": None,
    "per_worker.elastic": False,
}


class NumberedTrial(Suggester, Protocol):
    """A trial that knows which one of its study it is."""

    @property
    def number(self) -> int:
        """Counted from 0."""


def fixed_overrides(study: Study) -> list[str]:
    """What all trials of a study have in common, as overrides of one run."""
    select = {"select.metric": study.select.metric, "select.mode": study.select.mode}
    worker = study.resources.per_worker
    workers = {
        "workers": study.resources.workers_per_trial,
        "per_worker.cpus": worker.cpus,
        "per_worker.gpus": worker.gpus,
        "per_worker.memory": worker.memory,
        "per_worker.elastic": worker.elastic,
    }
    common = {**study.base, **select, **workers}
    return [
        format_override(path, value)
        for path, value in common.items()
        if path in study.base or value != DEFAULTS[path]
    ]


def overrides_of(study: Study, trial: NumberedTrial) -> list[str]:
    """Everything that is typed after ``python -m mhray.train`` for this trial."""
    drawn = draw(study.search, trial)
    seed = seed_of(study, trial.number)
    own = drawn if seed is None else {**drawn, "seed": seed}
    return [*fixed_overrides(study), *(format_override(*item) for item in own.items())]


def samples_of(study: Study, count: int) -> list[list[str]]:
    """What ``count`` trials could be: the first of a grid, or random draws that never change."""
    return [overrides_of(study, _sample(study, number)) for number in range(count)]


def _sample(study: Study, number: int) -> NumberedTrial:
    if study.grid is None:
        return _RandomTrial(number)
    return _GivenTrial(number, parameters_of(study, number))


class _RandomTrial:
    """Draws by itself, the same for the same number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._random = random.Random(number)  # noqa: S311  nothing to keep secret

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        del name
        return _log_uniform(self._random, low, high) if log else self._random.uniform(low, high)

    def suggest_int(self, name: str, low: int, high: int) -> int:
        del name
        return self._random.randint(low, high)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        del name
        return self._random.choice(choices)


class _GivenTrial:
    """Has the parameters that it is given."""

    def __init__(self, number: int, parameters: Draw) -> None:
        self.number = number
        self._parameters = parameters

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        raise NotImplementedError(f"{name} is a range from {low} to {high}, log: {log}")

    def suggest_int(self, name: str, low: int, high: int) -> int:
        raise NotImplementedError(f"{name} is a range from {low} to {high}")

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        del choices
        return self._parameters[name]


def _log_uniform(draws: random.Random, low: float, high: float) -> float:
    return min(max(exp(draws.uniform(log(low), log(high))), low), high)
