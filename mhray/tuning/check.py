"""What is wrong with a study that only the composed run, the data and the machines can tell.

Hydra, the data set and the cluster come in as arguments: this module imports none of them, trains
nothing and starts nothing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from mhray.errors import ConfigError, MhrayError, no_such_head
from mhray.heads import Head
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.left_out import Compose, unfit_heads, unlogged_metrics, variants
from mhray.tuning.rules import Finding, late_decision
from mhray.tuning.schema import unquoting, written
from mhray.tuning.space import format_override, resolve_heads, value_at, walk
from mhray.tuning.study import Resources, Study
from mhray.tuning.study_file import StudyFile
from mhray.tuning.weightings import MakeWeighting, unfit_weightings
from mhray.tuning.yaml_lines import Location, Problem, Value

ReadHeads: TypeAlias = Callable[[Mapping[str, Any]], Sequence[Head]]


def check_study(
    file: StudyFile,
    *,
    compose: Compose,
    read_heads: ReadHeads,
    make_weighting: MakeWeighting,
    available_cpus: float,
    available_gpus: float,
) -> Study:
    """The study with its heads filled in, after every check that needs more than the file.

    Args:
        file: as :func:`read_study` gives it; its own problems are reported with those found here.
        compose: the config of one run from overrides; raises ConfigError.
        read_heads: the heads of a config's data; raises ConfigError or DataError.
        make_weighting: the weighting of a section ``model``; raises ConfigError.
        available_cpus: cores that the sweep can ever have.
        available_gpus: GPUs that the sweep can ever have.

    Raises:
        ConfigError: one message with every problem, each with its line.
    """
    study = file.study
    base, findings = _fitting_base(study, compose)
    config = compose(base)
    problems: list[Problem] = []
    try:
        heads = read_heads(config)
    except MhrayError as unreadable:
        # A wrong base reads the wrong data, about which there is nothing to say.
        findings += [] if findings else [(("base",), str(unreadable))]
    else:
        names = [head.name for head in heads]
        problems += _misfits(file, names)
        study = study if problems else _resolved(study, names)
        found = variants(study, compose, base)
        unfit = list(unfit_heads(study, found, heads))
        # Of heads that the data lack there are no metrics.
        findings += unfit or [
            *unlogged_metrics(study, found, heads),
            *unfit_weightings(study, found, heads, make_weighting),
        ]
    findings += _unfitting_draws(study, compose, base)
    findings += _impossible_epochs(study, config)
    findings += _late_decision(study, config)
    findings += _missing_resources(study.resources, available_cpus, available_gpus)
    problems += [file.source.problem(*finding) for finding in findings]
    if error := file.error(problems):
        raise error
    return study


def _fitting_base(study: Study, compose: Compose) -> tuple[list[str], list[Finding]]:
    """The overrides of ``base`` that compose, and what is wrong with the others."""
    overrides = {path: format_override(path, value) for path, value in study.base.items()}
    if not _refusal(compose, list(overrides.values())):
        return list(overrides.values()), list(_base_texts(study, compose, overrides))
    fitting: list[str] = []
    findings: list[Finding] = []
    # Groups first: they bring the keys that the others set.
    for path in sorted(overrides, key=lambda path: "." in path):
        if refusal := _refusal(compose, [*fitting, overrides[path]]):
            findings.append((("base", path), refusal))
        else:
            fitting.append(overrides[path])
    return fitting, findings


def _refusal(compose: Compose, overrides: Sequence[str]) -> str:
    """Why these overrides do not compose; empty if they do."""
    try:
        compose(overrides)
    except ConfigError as error:
        return str(error)
    return ""


def _base_texts(study: Study, compose: Compose, overrides: Mapping[str, str]) -> Iterator[Finding]:
    """Text in ``base`` where the config without it has a number, or true or false."""
    for path, value in study.base.items():
        others = [override for other, override in overrides.items() if other != path]
        if isinstance(value, str) and "." in path and not _refusal(compose, others):
            yield from _text_problem(("base", path), value, value_at(compose(others), path))


def _text_problem(location: Location, value: Value, in_config: Value) -> Iterator[Finding]:
    if not isinstance(value, str) or value == "auto" or "${" in value:
        return
    if isinstance(in_config, bool):
        yield location, f"should be true or false, not {written(value)}"
    elif isinstance(in_config, int | float):
        yield location, f"should be a number, not {written(value)}{unquoting(value)}"


def _misfits(file: StudyFile, heads: Sequence[str]) -> Iterator[Problem]:
    """Heads that the study names and the data lack."""
    for path in file.study.base:
        head = path.lstrip("+").removeprefix(f"{LOSS_WEIGHTS}.")
        if head not in (path.lstrip("+"), *heads):
            location = ("base", path)
            error = no_such_head(file.source.label(location), head, heads)
            yield Problem(file.source.place(location), str(error))
    for entry in walk(file.study.search, ("search",)):
        where = file.source.label(entry.location)
        for misfit in entry.distribution.misfits(where, entry.path, heads):
            yield Problem(file.source.place(entry.location), str(misfit))


def _resolved(study: Study, heads: Sequence[str]) -> Study:
    return study.model_copy(update={"search": resolve_heads(study.search, heads)})


def _unfitting_draws(study: Study, compose: Compose, base: list[str]) -> Iterator[Finding]:
    """Draws that the run's config does not take."""
    refused: set[str] = set()
    for entry in walk(study.search, ("search",)):
        if not refused.isdisjoint(entry.active):
            continue
        around = [*base, *entry.active]
        for step, draw in entry.distribution.examples(entry.path):
            overrides = [format_override(path, value) for path, value in draw.items()]
            if refusal := _refusal(compose, [*around, *overrides]):
                refused.update(overrides)
                yield (*entry.location, *step), refusal
            for path, value in draw.items() if not refusal else ():
                in_config = value_at(compose(around), path) if isinstance(value, str) else None
                yield from _text_problem((*entry.location, *step), value, in_config)


def _impossible_epochs(study: Study, config: Mapping[str, Any]) -> Iterator[Finding]:
    max_epochs = value_at(config, "trainer.max_epochs")
    match max_epochs:
        case str():
            return  # _base_texts has said so
        case int() if max_epochs >= 1 and max_epochs is not True:
            return
    paths = [path for path in study.base if path.lstrip("+") == "trainer.max_epochs"]
    location = ("base", *(paths or ["trainer.max_epochs"]))
    yield location, f"should be a whole number, 1 or more, not {written(max_epochs)}"


def _late_decision(study: Study, config: Mapping[str, Any]) -> Iterator[Finding]:
    max_epochs = value_at(config, "trainer.max_epochs")
    is_set_elsewhere = "trainer.max_epochs" not in study.base
    if is_set_elsewhere and isinstance(max_epochs, int):
        yield from late_decision(study, max_epochs)


def _missing_resources(resources: Resources, cpus: float, gpus: float) -> Iterator[Finding]:
    yield from _missing("cpus", resources, resources.per_worker.cpus, cpus)
    yield from _missing("gpus", resources, resources.per_worker.gpus, gpus)


def _missing(kind: str, resources: Resources, each: float, available: float) -> Iterator[Finding]:
    """What can never be given of one kind of resource."""
    workers, parallel = resources.workers_per_trial, resources.parallel_trials
    noun = kind.upper()[:-1] + "s"
    if each > available:
        message = f"{each:g} {noun} can never be given, since there are {available:g}"
        yield ("resources", "per_worker", kind), f"{message}; write {available:g} or less"
    elif each * workers > available:
        message = f"{workers} workers need {each * workers:g} {noun}, but there are {available:g}"
        location = ("resources", "workers_per_trial")
        yield location, f"{message}; write {int(available / each)} or less"
    elif parallel != "auto" and each * workers * parallel > available:
        needed = each * workers * parallel
        message = f"{parallel} trials need {needed:g} {noun}, but there are {available:g}"
        fitting = int(available / (each * workers))
        yield ("resources", "parallel_trials"), f"{message}; write {fitting} or less, or auto"
