"""What a sampler cannot be combined with, each with the reason.

Each rule yields the places it is broken at, with what to say there.
"""

from collections.abc import Iterator

from mhray.tuning.sampler_kinds import (
    CmaesSampler,
    GpSampler,
    Nsga2,
    Nsga2Sampler,
    QmcSampler,
)
from mhray.tuning.space import walk
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location


def unfit_sampler(study: Study) -> Iterator[tuple[Location, str]]:
    """What the study's sampler cannot be combined with."""
    match study.sampler:
        case QmcSampler() | CmaesSampler() | GpSampler() | Nsga2Sampler():
            yield from _spaces_of_options(study)
    match study.sampler:
        case CmaesSampler() if study.search and not any(_is_range(study)):
            message = "moves along ranges, and none is searched; write {tpe: {}}"
            yield ("sampler",), f"cmaes {message}"
        case Nsga2Sampler(nsga2=nsga2):
            yield from _lone_objective(study)
            yield from _large_population(study, nsga2)


def _spaces_of_options(study: Study) -> Iterator[tuple[Location, str]]:
    kind = next(iter(study.sampler.model_fields_set))
    with_spaces = [
        entry.path
        for entry in walk(study.search)
        if any(space for space in entry.distribution.options().values())
    ]
    if with_spaces:
        message = (
            f"{kind} cannot draw what hangs on an option of {' and '.join(with_spaces)}: it knows "
            "only what all trials draw, and would leave the rest to chance; write {tpe: {}}"
        )
        yield ("sampler",), message


def _is_range(study: Study) -> Iterator[bool]:
    for entry in walk(study.search):
        distribution = entry.distribution
        yield not (distribution.options() or distribution.every(entry.path, ""))


def _lone_objective(study: Study) -> Iterator[tuple[Location, str]]:
    if len(study.objectives) == 1:
        message = "nsga2 looks for a front, and one objective has none"
        yield ("sampler",), f"{message}; write a second one, or {{tpe: {{}}}}"


def _large_population(study: Study, nsga2: Nsga2) -> Iterator[tuple[Location, str]]:
    trials = study.budget.trials
    if nsga2.population >= trials:
        message = f"should be below budget.trials, which is {trials}, or all are drawn at random"
        yield ("sampler", "nsga2", "population"), message
