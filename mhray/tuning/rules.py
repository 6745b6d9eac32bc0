"""What entries of a study have to do with each other, as far as the file alone shows it.

Each rule yields the places it is broken at, with what to say there.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from mhray.training.selection import sensible_mode
from mhray.tuning.distributions import LOSS_WEIGHTS, Distribution
from mhray.tuning.enqueue_rules import unfit_enqueued
from mhray.tuning.grid import unfit_grid
from mhray.tuning.places import unfit_storage
from mhray.tuning.sampler_rules import unfit_sampler
from mhray.tuning.scheduler_kinds import first_decision
from mhray.tuning.scheduler_rules import unfit_scheduler
from mhray.tuning.schema import written
from mhray.tuning.space import walk
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location, Value, dotted

Finding: TypeAlias = tuple[Location, str]

# Keys of a run that a study sets by itself, and where.
_SET_ELSEWHERE = {
    "workers": "write resources.workers_per_trial",
    "per_worker": "write resources.per_worker",
    "select": "write select",
    "test": "the study evaluates test once, at its end; take it out",
}
# Keys of a run that would take a study's own work away from it, with what is below them.
_NEVER_SET = {
    "ckpt_path": "a trial goes on from its own checkpoints only",
    "changes": "what changes while a trial trains is for scheduler: {pbt: ...} to say",
    "trainer.fast_dev_run": "it trains on one batch and writes no checkpoint",
    "trainer.enable_checkpointing": "without checkpoints no trial can go on, and none is the best",
    "trainer.logger": "the study records every trial in MLflow",
    "logger": "the study's driver alone writes, and records every trial in MLflow",
    "hydra": "trials write into the study's directory, and Hydra starts none of them",
}
_SAME_SPLIT = "all trials have the same validation split"
_NEVER_SEARCHED = {
    "trainer.max_epochs": "all trials have the same last epoch",
    "seed": "all trials have the same seed, or luck would be searched",
    "data.seed": _SAME_SPLIT,
    "data.val_fraction": _SAME_SPLIT,
    "data.data_dir": _SAME_SPLIT,
    "data.source": _SAME_SPLIT,
    "trainer.limit_val_batches": _SAME_SPLIT,
}
_WEIGHING = (LOSS_WEIGHTS, "model.weighting", "weighting", "model.train_heads")


def broken_rules(study: Study) -> Iterator[Finding]:
    """Every rule of a study that is broken."""
    yield from _set_elsewhere(study)
    yield from _clashes(study.search, ("search",), {path: ("base", path) for path in study.base})
    yield from _bad_weights(study)
    yield from _no_validation(study)
    yield from _unfit_metrics(study)
    yield from _repeated_metrics(study)
    yield from _late_decision(study)
    yield from unfit_sampler(study)
    yield from unfit_scheduler(study)
    yield from unfit_grid(study)
    yield from unfit_enqueued(study)
    yield from unfit_storage(study)
    yield from _untried_options(study)
    yield from _shared_gpus(study)
    yield from _elastic_alone(study)
    yield from _hours_of_no_gpu(study)
    yield from _shared_database(study)


def by_path(study: Study, problems: str) -> Iterator[Finding]:
    """Problems of a run, one on each line, at the entries of ``base`` whose paths they begin with.

    A problem with a section is at what is set in it, if that is one entry.
    """
    keys = {key.lstrip("+"): key for key in study.base}
    for problem in problems.splitlines():
        path, _, rest = problem.partition(": ")
        within = [key for plain, key in keys.items() if _is_within(plain, path)]
        if path in keys:
            yield ("base", keys[path]), rest
        else:
            yield ("base", *(within if len(within) == 1 else ())), problem


def metrics_of(study: Study) -> Iterator[tuple[Location, str]]:
    """Every metric that the study judges by, with its location."""
    for index, goal in enumerate(study.objectives):
        yield ("objectives", index, next(iter(goal.model_fields_set))), goal.metric
    yield ("select", next(iter(study.select.model_fields_set))), study.select.metric


def weighing_paths(study: Study) -> list[str]:
    """The searched paths that a weighted loss depends on."""
    return [entry.path.lstrip("+") for entry in walk(study.search) if weighs(entry.path)]


def weighs(path: str) -> bool:
    """Whether a weighted loss depends on what is set there."""
    return any(_is_within(path.lstrip("+"), weight) for weight in _WEIGHING)


def late_decision(study: Study, max_epochs: int) -> Iterator[Finding]:
    """What is wrong with a scheduler that decides nothing before the last epoch, if it does."""
    if study.scheduler is None:
        return
    location, epochs = first_decision(study.scheduler)
    if 1 <= max_epochs <= epochs:
        remedy = f"write {max_epochs - 1} or less" if max_epochs > 1 else "write scheduler: null"
        yield location, f"should be below trainer.max_epochs, which is {max_epochs}; {remedy}"


def _set_elsewhere(study: Study) -> Iterator[Finding]:
    for location, path in _all_paths(study):
        plain = path.lstrip("+")
        if remedy := _SET_ELSEWHERE.get(plain.split(".")[0]):
            yield location, f"is set by the study itself; {remedy}"
        for never, why in _NEVER_SET.items():
            if _is_within(plain.replace("/", "."), never):
                yield location, f"cannot be set in a study: {why}; take it out"
        if location[0] == "search" and (reason := _NEVER_SEARCHED.get(plain)):
            yield location, f"cannot be searched: {reason}; put it in base"


def _all_paths(study: Study) -> Iterator[tuple[Location, str]]:
    yield from ((("base", path), path) for path in study.base)
    yield from ((entry.location, entry.path) for entry in walk(study.search, ("search",)))


def _clashes(
    space: Mapping[str, Distribution], location: Location, taken: dict[str, Location]
) -> Iterator[Finding]:
    """Paths that are set twice in one trial; adds those of the space to ``taken``."""
    for path, distribution in space.items():
        here = (*location, path)
        drawn = distribution.sets(path)
        clashing = [there for other, there in taken.items() if _overlaps(other, drawn)]
        for there in dict.fromkeys(clashing):
            yield here, f"is also set by {dotted(there)}; keep one of the two"
        taken |= dict.fromkeys(drawn, here)
    for path, distribution in space.items():
        options: dict[str, Location] = {}
        for option, options_space in distribution.options().items():
            inside = dict(taken)
            yield from _clashes(options_space, (*location, path, "one_of", option), inside)
            options |= inside
        taken |= options


def _overlaps(path: str, others: Iterable[str]) -> bool:
    return any(_overlap(path.lstrip("+"), other.lstrip("+")) for other in others)


def _overlap(path: str, other: str) -> bool:
    short, long = sorted((path, other), key=len)
    # A group and what is below it go together: model=cnn model.net.dropout=0.1.
    is_group = "." not in short
    return short == long or (not is_group and _is_within(long, short))


def _is_within(path: str, section: str) -> bool:
    return path == section or path.startswith(f"{section}.")


def _bad_weights(study: Study) -> Iterator[Finding]:
    for location, path, value in _all_values(study):
        if path.lstrip("+").startswith(f"{LOSS_WEIGHTS}.") and not _can_weigh(value):
            yield location, f"should be a loss weight, 0 or more, not {written(value)}"


def _all_values(study: Study) -> Iterator[tuple[Location, str, Value]]:
    """What is set: all values of ``base`` and of choices, and the low ends of ranges."""
    yield from ((("base", path), path, value) for path, value in study.base.items())
    for entry in walk(study.search, ("search",)):
        for step, draw in entry.distribution.examples(entry.path):
            for path, value in draw.items():
                yield (*entry.location, *step), path, value


def _can_weigh(value: Value) -> bool:
    match value:
        case bool() | None:
            return False
        case str():
            return "${" in value
    return value >= 0


def _no_validation(study: Study) -> Iterator[Finding]:
    for path, value in study.base.items():
        if path.lstrip("+") == "trainer.limit_val_batches" and value == 0:
            reason = "trials are judged on the validation split"
            yield ("base", path), f"should be above 0, not {written(value)}: {reason}"


def _unfit_metrics(study: Study) -> Iterator[Finding]:
    searched = [entry.path.lstrip("+") for entry in walk(study.search)]
    weighing = weighing_paths(study)
    for location, metric in metrics_of(study):
        split, _, name = metric.partition("/")
        if split in ("train", "test"):
            reason = {"train": "what was trained on", "test": "what is looked at once, at the end"}
            yield location, f"{metric} is measured on {reason[split]}; write val/{name}"
        elif name == "loss" and weighing:
            why = f"weighted by {weighing[0]}, which is searched, so that small weights win"
            yield location, f"{metric} is {why}; write val/acc_mean or val/<head>_loss"
        elif name == "acc_best" and "model.primary_head" in searched:
            why = "model.primary_head, which is searched, so that the easiest head wins"
            yield location, f"{metric} follows {why}; write val/acc_mean or val/<head>_acc"
        elif (mode := sensible_mode(metric)) and (direction := f"{mode}imize") != location[-1]:
            better = {"max": "higher", "min": "lower"}[mode]
            yield location, f"{metric} is better the {better} it is; write {direction}: {metric}"


def _repeated_metrics(study: Study) -> Iterator[Finding]:
    first: dict[str, Location] = {}
    for location, metric in metrics_of(study):
        if location[0] == "objectives":
            if metric in first:
                yield location, f"is also {dotted(first[metric])}: {metric}; keep one of the two"
            first.setdefault(metric, location)


def _late_decision(study: Study) -> Iterator[Finding]:
    max_epochs = study.base.get("trainer.max_epochs")
    if isinstance(max_epochs, int) and not isinstance(max_epochs, bool):
        yield from late_decision(study, max_epochs)


def _untried_options(study: Study) -> Iterator[Finding]:
    distribution = study.search.get(study.within or "")
    options = distribution.options() if distribution else {}
    if study.budget.trials < len(options):
        reason = f"scheduler.asha.within starts with a trial of each option of {study.within}"
        message = f"should be {len(options)} or more, not {study.budget.trials}: {reason}"
        yield ("budget", "trials"), message


def _shared_gpus(study: Study) -> Iterator[Finding]:
    resources = study.resources
    gpus = resources.per_worker.gpus
    if resources.workers_per_trial > 1 and not gpus.is_integer():
        reason = f"{resources.workers_per_trial} workers of a trial cannot share a GPU"
        message = f"should be whole, not {gpus}: {reason}; write 1, or workers_per_trial: 1"
        yield ("resources", "per_worker", "gpus"), message


def _elastic_alone(study: Study) -> Iterator[Finding]:
    resources = study.resources
    if resources.per_worker.elastic and resources.workers_per_trial == 1:
        message = (
            "changes nothing, since a trial has one worker; write workers_per_trial: 2 or more"
        )
        yield ("resources", "per_worker", "elastic"), f"{message}, or false"


def _hours_of_no_gpu(study: Study) -> Iterator[Finding]:
    if study.budget.gpu_hours is not None and not study.resources.gpus_per_trial:
        message = "limits nothing, since trials have no GPU; write resources.per_worker.gpus"
        yield ("budget", "gpu_hours"), f"{message}, or hours in its place"


def _shared_database(study: Study) -> Iterator[Finding]:
    if study.journal == study.mlflow.tracking_uri:
        reason = f"{study.journal} is MLflow's database too, and the two have tables of one name"
        yield ("journal",), f"{reason}; write another one"
