"""What a scheduler cannot be combined with, each with the reason.

Each rule yields the places it is broken at, with what to say there.
"""

from collections.abc import Iterator

from mhray.errors import did_you_mean
from mhray.training.changes import LEARNING_RATE
from mhray.tuning.distributions import LOSS_WEIGHTS, LogUniform, Uniform
from mhray.tuning.scheduler_kinds import AshaScheduler, MedianScheduler, Pbt, PbtScheduler
from mhray.tuning.simplex import Simplex
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location

_NOTHING_TO_LEARN_FROM = "all trials of a population are drawn before one has ended to learn from"
_WHY_NOT_DRAWN_SO = {
    **dict.fromkeys(("tpe", "cmaes", "gp", "nsga2"), _NOTHING_TO_LEARN_FROM),
    "grid": "who takes over goes on with values that no grid has",
}


def unfit_scheduler(study: Study) -> Iterator[tuple[Location, str]]:
    """What the study's scheduler cannot be combined with."""
    match study.scheduler:
        case AshaScheduler(asha=asha) if asha.within is not None:
            yield from _unknown_option(study, asha.within)
        case MedianScheduler(median=median) if median.min_trials >= study.budget.trials:
            message = f"should be below budget.trials, which is {study.budget.trials}"
            yield ("scheduler", "median", "min_trials"), f"{message}, or no trial is ever stopped"
        case PbtScheduler(pbt=pbt):
            yield from _small_population(study, pbt)
            yield from _unchangeable_paths(study)
            yield from _unfit_for_a_population(study)


def _unknown_option(study: Study, path: str) -> Iterator[tuple[Location, str]]:
    known = [path for path, distribution in study.search.items() if distribution.options()]
    if path not in known:
        hint = did_you_mean(path, known) if known else "write a one_of in search, or take it out"
        yield ("scheduler", "asha", "within"), f"no trial draws an option of {path}; {hint}"


def _small_population(study: Study, pbt: Pbt) -> Iterator[tuple[Location, str]]:
    trials = study.budget.trials
    if int(pbt.quantile * trials) < 1:
        message = f"{pbt.quantile:g} of budget.trials, which is {trials}, is no whole trial"
        yield ("scheduler", "pbt", "quantile"), f"{message}; write more trials"


def _unchangeable_paths(study: Study) -> Iterator[tuple[Location, str]]:
    for path, distribution in study.search.items():
        match distribution:
            case Simplex() if path == LOSS_WEIGHTS:
                continue
            case Uniform() | LogUniform() if path == LEARNING_RATE:
                continue
        message = (
            "cannot be searched with pbt: who goes on from another trial's checkpoint goes on with "
            f"its network, and all that changes is a simplex at {LOSS_WEIGHTS} and a range at "
            f"{LEARNING_RATE}; put it in base"
        )
        yield ("search", path), message


def _unfit_for_a_population(study: Study) -> Iterator[tuple[Location, str]]:
    kind = next(iter(study.sampler.model_fields_set))
    if reason := _WHY_NOT_DRAWN_SO.get(kind):
        message = f"{kind} cannot be combined with pbt: {reason}"
        yield ("sampler",), f"{message}; write {{random: {{}}}} or {{qmc: {{}}}}"
    if study.resources.workers_per_trial > 1:
        reason = "trials pause and go on, and each time a worker group would be started anew"
        yield ("resources", "workers_per_trial"), f"should be 1 with pbt: {reason}; write 1"
    if study.resources.parallel_trials != "auto":
        reason = "Ray counts those that pause, so that the others would wait for ever"
        message = f"should be auto with pbt: {reason}; write more per_worker.cpus to run fewer"
        yield ("resources", "parallel_trials"), message
