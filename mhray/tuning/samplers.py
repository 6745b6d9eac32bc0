"""What chooses the values of the next trial: the study's sampler as Optuna wants it.

A study that is resumed must not draw its first trials again. So seeds count on with the trials, but
for that of a quasi-random sequence: Optuna keeps its place in the journal, as it does with the
normal distribution of CMA-ES and the generations of NSGA-II.
"""

import logging
import warnings
from collections.abc import Mapping
from math import isclose
from typing import Any

import optuna
from optuna import samplers
from optuna.distributions import BaseDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial
from typing_extensions import override

from mhray.tuning.cmaes import CmaEs
from mhray.tuning.compared import ComparingTPE
from mhray.tuning.grid import parameters_of
from mhray.tuning.sampler_kinds import (
    CmaesSampler,
    Gp,
    GpSampler,
    GridSampler,
    Nsga2Sampler,
    Qmc,
    QmcSampler,
    RandomSampler,
    Tpe,
    TpeSampler,
)
from mhray.tuning.study import Study

BREEDS = range(20)  # children that may be twins of others, before chance draws one
SLOWER = "optuna._gp.batched_lbfgsb"  # advises once in each process to install greenlet


def sampler_of(study: Study, drawn: int) -> BaseSampler:
    """The study's sampler; resumed after ``drawn`` trials, it does not repeat its first draws."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        return _sampler_of(study, drawn)


class InTurn(BaseSampler):
    """Gives each trial of a grid its values.

    Optuna's own ``GridSampler`` knows no options, and may give trials that run at the same time the
    same values.
    """

    def __init__(self, study: Study) -> None:
        self._study = study

    @override
    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {}

    @override
    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    @override
    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return parameters_of(self._study, trial.number)[param_name]


class NSGA2(samplers.NSGAIISampler):
    """NSGA-II that breeds from given trials too, and nothing twice.

    Optuna gives a trial its generation while it draws for it. One whose values are all given, as
    those of trial 0 are, would belong to none and never be a parent. And a child of Optuna's may be
    what another trial is, which with one seed for all trials is the same run again.
    """

    @override
    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        super().before_trial(study, trial)
        self.get_trial_generation(study, trial)

    @override
    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        known = [past.params for past in study.get_trials(deepcopy=False)]
        children = (self._child(study, trial, search_space) for _ in BREEDS)
        return next((c for c in children if not any(_are_twins(c, one) for one in known)), {})

    def _child(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        inherited = super().sample_relative(study, trial, search_space)
        mutated = {
            name: self.sample_independent(study, trial, name, distribution)
            for name, distribution in search_space.items()
            if name not in inherited
        }
        return inherited | mutated


def _are_twins(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two draws are the same but for what a crossover rounds."""
    return one.keys() == other.keys() and all(
        value == other[name] or _are_close(value, other[name]) for name, value in one.items()
    )


def _are_close(one: Any, other: Any) -> bool:
    """Whether two values are floats that a crossover could have rounded apart."""
    return isinstance(one, float) and isinstance(other, float) and isclose(one, other)


def _sampler_of(study: Study, drawn: int) -> BaseSampler:
    made: BaseSampler
    match study.sampler:
        case TpeSampler(tpe=tpe):
            made = _tpe(tpe, drawn)
        case RandomSampler(random=random):
            made = samplers.RandomSampler(seed=random.seed + drawn)
        case QmcSampler(qmc=qmc):
            made = _qmc(qmc, drawn)
        case CmaesSampler(cmaes=cmaes):
            made = CmaEs(seed=cmaes.seed + drawn, warn_independent_sampling=False)
        case GpSampler(gp=gp):
            made = _gp(gp, drawn)
        case Nsga2Sampler(nsga2=nsga2):
            made = NSGA2(population_size=nsga2.population, seed=nsga2.seed + drawn)
        case GridSampler():
            made = InTurn(study)
    return made


def _tpe(tpe: Tpe, drawn: int) -> BaseSampler:
    return ComparingTPE(
        tpe.startup_trials,
        seed=tpe.seed + drawn,
        multivariate=True,
        group=True,
        constant_liar=True,
    )


def _qmc(qmc: Qmc, drawn: int) -> BaseSampler:
    # The seed of the sequence stays: with another one it would begin again.
    return samplers.QMCSampler(
        scramble=True,
        seed=qmc.seed,
        independent_sampler=samplers.RandomSampler(seed=qmc.seed + drawn),
        warn_independent_sampling=False,
    )


def _gp(gp: Gp, drawn: int) -> BaseSampler:
    logging.getLogger(SLOWER).setLevel(logging.ERROR)
    return samplers.GPSampler(
        n_startup_trials=gp.startup_trials,
        seed=gp.seed + drawn,
        warn_independent_sampling=False,
    )
