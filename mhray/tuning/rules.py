"""What entries of a study have to do with each other, as far as the file alone shows it.

Each rule yields the places it is broken at, with what to say there.
"""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from mhray.tuning.distributions import LOSS_WEIGHTS, Distribution
from mhray.tuning.space import walk
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location, dotted

Finding: TypeAlias = tuple[Location, str]

# Keys of a run that a study sets by itself, and where.
_SET_ELSEWHERE = {
    "workers": "write resources.workers_per_trial",
    "per_worker": "write resources.per_worker",
    "select": "write select",
    "test": "the study evaluates test once, at its end; take it out",
}
_NEVER_SEARCHED = {
    "trainer.max_epochs": "all trials have the same last epoch",
    "seed": "all trials have the same seed, or luck would be searched",
    "data.seed": "all trials have the same validation split",
}
_WEIGHING = (LOSS_WEIGHTS, "model.weighting", "weighting")


def broken_rules(study: Study) -> Iterator[Finding]:
    """Every rule of a study that is broken."""
    yield from _set_elsewhere(study)
    yield from _clashes(study.search, ("search",), {path: ("base", path) for path in study.base})
    yield from _unfit_metrics(study)
    yield from _endless_grace(study)
    yield from _shared_gpus(study)


def metrics_of(study: Study) -> Iterator[tuple[Location, str]]:
    """Every metric that the study judges by, with its location."""
    for index, goal in enumerate(study.objectives):
        yield ("objectives", index, next(iter(goal.model_fields_set))), goal.metric
    yield ("select", next(iter(study.select.model_fields_set))), study.select.metric


def grace_problem(grace_epochs: int, max_epochs: int) -> str | None:
    """What is wrong with a grace that lasts to the end, if it does."""
    if 0 <= max_epochs <= grace_epochs:
        remedy = f"write {max_epochs - 1} or less" if max_epochs > 1 else "write scheduler: null"
        return f"should be below trainer.max_epochs, which is {max_epochs}; {remedy}"
    return None


def _set_elsewhere(study: Study) -> Iterator[Finding]:
    for location, path in _all_paths(study):
        plain = path.lstrip("+")
        if remedy := _SET_ELSEWHERE.get(plain.split(".")[0]):
            yield location, f"is set by the study itself; {remedy}"
        if location[0] == "search" and (reason := _NEVER_SEARCHED.get(plain)):
            yield location, f"cannot be searched: {reason}; put it in base"


def _all_paths(study: Study) -> Iterator[tuple[Location, str]]:
    yield from ((("base", path), path) for path in study.base)
    yield from ((entry.location, entry.path) for entry in walk(study.search, ("search",)))


def _clashes(
    space: Mapping[str, Distribution], location: Location, taken: dict[str, Location]
) -> Iterator[Finding]:
    """Paths that are set twice in one trial; adds those of the space to ``taken``."""
    for path in space:
        here = (*location, path)
        for other, there in taken.items():
            if _overlap(path.lstrip("+"), other.lstrip("+")):
                yield here, f"is also set by {dotted(there)}; keep one of the two"
        taken[path] = here
    for path, distribution in space.items():
        options: dict[str, Location] = {}
        for option, options_space in distribution.options().items():
            inside = dict(taken)
            yield from _clashes(options_space, (*location, path, "one_of", option), inside)
            options |= inside
        taken |= options


def _overlap(path: str, other: str) -> bool:
    short, long = sorted((path, other), key=len)
    # A group and what is below it go together: model=cnn model.net.dropout=0.1.
    is_group = "." not in short
    return short == long or (not is_group and long.startswith(f"{short}."))


def _unfit_metrics(study: Study) -> Iterator[Finding]:
    weighing = [entry.path for entry in walk(study.search) if _weighs(entry.path)]
    for location, metric in metrics_of(study):
        split, _, name = metric.partition("/")
        if split in ("train", "test"):
            reason = {"train": "what was trained on", "test": "what is looked at once, at the end"}
            yield location, f"{metric} is measured on {reason[split]}; write val/{name}"
        elif name == "loss" and weighing:
            why = f"weighted by {weighing[0]}, which is searched, so that small weights win"
            yield location, f"{metric} is {why}; write val/acc_mean or val/<head>_loss"


def _weighs(path: str) -> bool:
    return any(path == weight or path.startswith(f"{weight}.") for weight in _WEIGHING)


def _endless_grace(study: Study) -> Iterator[Finding]:
    max_epochs = study.base.get("trainer.max_epochs")
    if study.scheduler is not None and isinstance(max_epochs, int):
        problem = grace_problem(study.scheduler.asha.grace_epochs, max_epochs)
        if problem:
            yield ("scheduler", "asha", "grace_epochs"), problem


def _shared_gpus(study: Study) -> Iterator[Finding]:
    resources = study.resources
    gpus = resources.per_worker.gpus
    if resources.workers_per_trial > 1 and not gpus.is_integer():
        reason = f"{resources.workers_per_trial} workers of a trial cannot share a GPU"
        message = f"should be whole, not {gpus}: {reason}; write 1, or workers_per_trial: 1"
        yield ("resources", "per_worker", "gpus"), message
