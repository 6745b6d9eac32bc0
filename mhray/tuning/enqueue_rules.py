"""What is wrong with the trials that a study file gives.

Each rule yields the places it is broken at, with what to say there. Loss weights are looked at
apart from the rest, since what the file calls ``heads`` only the data know.
"""

from collections.abc import Iterator, Mapping, Sequence

from mhray.errors import did_you_mean
from mhray.heads import Head
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.simplex import Simplex
from mhray.tuning.space import Entry, walk, with_options
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location, Value

ENQUEUE = "enqueue"


def unfit_enqueued(study: Study) -> Iterator[tuple[Location, str]]:
    """What the file alone shows."""
    given_trials = study.enqueue or ()
    for index, given in enumerate(given_trials):
        if given in given_trials[:index]:
            first = given_trials.index(given)
            yield (ENQUEUE, index), f"is the same as enqueue[{first}]; keep one of the two"
        match given:
            case str():
                yield from _unweighable(study, index, given)
            case _:
                yield from _unfit_values(study, index, given)
    if given_trials and study.grid is not None:
        message = "cannot be combined with a grid, which holds all that is run; write null"
        yield (ENQUEUE,), message
    yield from _too_few_trials(study)


def unfit_weights(study: Study, heads: Sequence[Head]) -> Iterator[tuple[Location, str]]:
    """What shows once the heads of the data stand in the study."""
    for index, given in enumerate(study.enqueue or ()):
        match given:
            case "inverse_log_classes":
                yield from _lone_classes(study, index, heads)
            case dict():
                yield from _unfit_simplexes(study, index, given)


def _unweighable(study: Study, index: int, word: str) -> Iterator[tuple[Location, str]]:
    if LOSS_WEIGHTS not in _simplexes(study, {}):
        message = f"no simplex at {LOSS_WEIGHTS} is searched where trial 0 stands"
        yield (ENQUEUE, index), f"{word} says what heads weigh, but {message}; take it out"


def _unfit_values(
    study: Study, index: int, given: Mapping[str, Value]
) -> Iterator[tuple[Location, str]]:
    every = {(entry.path, entry.active): entry.distribution for entry in walk(study.search)}
    drawn = {entry.path: entry.active for entry in walk(with_options(study.search, given))}
    for path, value in given.items():
        if any(_is_weight(path, simplex) for simplex in _simplexes(study, given)):
            continue
        if path not in drawn:
            yield (ENQUEUE, index, path), _why_not_drawn(study, path)
        elif why := every[path, drawn[path]].refusal(value):
            yield (ENQUEUE, index, path), why


def _why_not_drawn(study: Study, path: str) -> str:
    entries = list(walk(study.search))
    for entry in entries:
        if path == entry.path or (_is_simplex(entry) and _is_weight(path, entry.path)):
            options = " and ".join(entry.active)
            return f"is drawn with {options} alone; write that beside it, or take it out"
    known = [path for entry in entries for path in entry.distribution.sets(entry.path)]
    return f"no trial draws this; {did_you_mean(path, known)}"


def _too_few_trials(study: Study) -> Iterator[tuple[Location, str]]:
    baselines = 1
    if study.within in study.search:
        baselines = len(study.search[study.within].options())
    count = baselines + sum(given != "equal" for given in study.enqueue or ())
    if study.enqueue and study.budget.trials < count:
        message = f"should be {count} or more, not {study.budget.trials}"
        yield ("budget", "trials"), f"{message}: baselines and enqueue come first"


def _lone_classes(
    study: Study, index: int, heads: Sequence[Head]
) -> Iterator[tuple[Location, str]]:
    simplex = _simplexes(study, {}).get(LOSS_WEIGHTS)
    searched = simplex.sets(LOSS_WEIGHTS) if simplex else ()
    for head in heads:
        if head.num_classes == 1 and f"{LOSS_WEIGHTS}.{head.name}" in searched:
            message = f"divides by ln C, which is 0 for {head.name}, a head of one class"
            yield (ENQUEUE, index), f"inverse_log_classes {message}; write class_count"


def _unfit_simplexes(
    study: Study, index: int, given: Mapping[str, Value]
) -> Iterator[tuple[Location, str]]:
    for path, simplex in _simplexes(study, given).items():
        known = simplex.sets(path)
        unknown = [key for key in given if _is_weight(key, path) and key not in known]
        for key in unknown:
            yield (ENQUEUE, index, key), f"no trial draws this; {did_you_mean(key, known)}"
        # A misspelt head would also be missing.
        for where, why in () if unknown else simplex.refusals(path, given):
            yield (ENQUEUE, index, where), why


def _simplexes(study: Study, given: Mapping[str, Value]) -> dict[str, Simplex]:
    """The simplexes that a given trial draws from, by path."""
    found = {}
    for entry in walk(with_options(study.search, given)):
        match entry.distribution:
            case Simplex() as simplex:
                found[entry.path] = simplex
    return found


def _is_simplex(entry: Entry) -> bool:
    match entry.distribution:
        case Simplex():
            return True
    return False


def _is_weight(path: str, simplex: str) -> bool:
    return path.startswith(f"{simplex}.")
