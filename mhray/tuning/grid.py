"""A grid: every combination of a study's choices, once with each seed.

A trial's number says which combination it has and which seed. So a resumed study goes on where it
ended, trials that run side by side never have the same, and seeds that are added at the end of the
list add trials. Seeds vary slowest: wherever a study ends, its rows have had the same seeds.
"""

from collections.abc import Iterable, Iterator

from mhray.errors import StudyConflictError, did_you_mean
from mhray.tuning.distributions import Draw
from mhray.tuning.record import TrialRecord
from mhray.tuning.sampler_kinds import Grid
from mhray.tuning.schema import written
from mhray.tuning.space import combinations, walk
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location


def parameters_of(study: Study, number: int) -> Draw:
    """What a trial of a grid has, by Optuna's names."""
    every = combinations(study.search)
    return every[number % len(every)]


def seed_of(study: Study, number: int) -> int | None:
    """The seed that a grid gives a trial; None if it has the run's own."""
    if study.grid is None or not study.grid.seeds:
        return None
    seeds = study.grid.seeds
    return seeds[number // len(combinations(study.search)) % len(seeds)]


def refuse_another_grid(study: Study, records: Iterable[TrialRecord]) -> None:
    """Refuses to go on with trials that are not those of the study's grid, if it has one.

    Raises:
        StudyConflictError: a trial has other values, or another seed.
    """
    if study.grid is None:
        return
    for record in records:
        seed = seed_of(study, record.number)
        is_the_same = record.params == parameters_of(study, record.number)
        if record.overrides and not (is_the_same and seed in (None, record.seed)):
            raise StudyConflictError(
                f"sampler.grid: trial {record.number} of the study is none of this grid; add seeds "
                "at the end of the list only, or write another name"
            )


def unfit_grid(study: Study) -> Iterator[tuple[Location, str]]:
    """What a study with a grid cannot have beside it."""
    if study.grid is None:
        return
    yield from _ranges(study)
    yield from _unknown_paths(study, study.grid)
    yield from _bad_seeds(study, study.grid)
    yield from _too_many_trials(study, study.grid)
    if study.confirm is not None:
        reason = "a grid confirms nothing: its rows are compared over seeds of their own"
        yield ("confirm",), f"{reason}; write null, and more of sampler.grid.seeds"


def _ranges(study: Study) -> Iterator[tuple[Location, str]]:
    for entry in walk(study.search, ("search",)):
        distribution = entry.distribution
        if not (distribution.options() or distribution.every(entry.path, "")):
            yield entry.location, "is a range, and a grid needs values; write {choice: [...]}"


def _unknown_paths(study: Study, grid: Grid) -> Iterator[tuple[Location, str]]:
    known = [entry.path for entry in walk(study.search)]
    for index, path in enumerate(grid.tune):
        if path not in known:
            hint = did_you_mean(path, known)
            yield ("sampler", "grid", "tune", index), f"no trial draws {path}; {hint}"


def _bad_seeds(study: Study, grid: Grid) -> Iterator[tuple[Location, str]]:
    for index, seed in enumerate(grid.seeds):
        if seed in grid.seeds[:index]:
            message = f"holds {written(seed)} twice; keep one of the two"
            yield ("sampler", "grid", "seeds", index), message
    if grid.seeds and "seed" in study.base:
        yield ("base", "seed"), "is also set by sampler.grid.seeds; keep one of the two"


def _too_many_trials(study: Study, grid: Grid) -> Iterator[tuple[Location, str]]:
    every, seeds = len(combinations(study.search)), max(1, len(grid.seeds))
    if 0 < every * seeds < study.budget.trials:
        message = f"should be {every * seeds} or less, since the grid has {every} combinations"
        of_seeds = f" with {seeds} seeds each" if grid.seeds else ""
        yield ("budget", "trials"), message + of_seeds
