"""What is wrong with a study that only the composed run, the data and the machines can tell.

Hydra, the data set and the cluster come in as arguments: this module imports none of them, trains
nothing and starts nothing. To compose a config takes a tenth of a second and a network as much, so
examples of many paths are tried in one draw, and alone only where they do not fit together.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, TypeAlias

from mhray.errors import ConfigError, MhrayError, no_such_head
from mhray.heads import Head
from mhray.tuning.distributions import LOSS_WEIGHTS, Draw
from mhray.tuning.enqueue_rules import unfit_weights
from mhray.tuning.left_out import (
    Compose,
    incomparable_heads,
    unfit_heads,
    unlogged_metrics,
    variants,
)
from mhray.tuning.rules import Finding, late_decision
from mhray.tuning.schema import unquoting, written
from mhray.tuning.space import format_override, resolve_heads, value_at, walk
from mhray.tuning.study import Resources, Study
from mhray.tuning.study_file import StudyFile
from mhray.tuning.weightings import MakeWeighting, unfit_weightings
from mhray.tuning.yaml_lines import Location, Problem, Value

ReadHeads: TypeAlias = Callable[[Mapping[str, Any]], Sequence[Head]]
TryOut: TypeAlias = Callable[[Mapping[str, Any]], None]
Attempt: TypeAlias = Callable[[Sequence[str]], object]


def check_study(
    file: StudyFile,
    *,
    compose: Compose,
    read_heads: ReadHeads,
    make_weighting: MakeWeighting,
    try_out: TryOut,
    available_cpus: float,
    available_gpus: float,
) -> Study:
    """The study with its heads filled in, after every check that needs more than the file.

    Args:
        file: as :func:`read_study` gives it; its own problems are reported with those found here.
        compose: the config of one run from overrides; raises ConfigError.
        read_heads: the heads of a config's data; raises ConfigError or DataError.
        make_weighting: the weighting of a section ``model``; raises ConfigError.
        try_out: a step of a config's run, at least of its network; raises ConfigError.
        available_cpus: cores that the sweep can ever have.
        available_gpus: GPUs that the sweep can ever have.

    Raises:
        ConfigError: one message with every problem, each with its line.
    """
    study = file.study
    compose = _remembering(compose)
    base, findings = _fitting_base(study, compose)
    config = compose(base)
    attempt: Attempt = compose
    problems: list[Problem] = []
    try:
        heads = read_heads(config)
    except MhrayError as unreadable:
        # A wrong base reads the wrong data, about which there is nothing to say.
        findings += [] if findings else [(("base",), str(unreadable))]
    else:
        names = [head.name for head in heads]
        problems += _misfits(file, names)
        if not problems:
            study = _resolved(study, names)
            findings += unfit_weights(study, heads)
            # What lacks some of its base may fail for that alone.
            attempt = compose if findings else lambda overrides: try_out(compose(overrides))
        found = variants(study, compose, base)
        unfit = list(unfit_heads(study, found, heads))
        # Of heads that the data lack there are no metrics.
        findings += unfit or [
            *unlogged_metrics(study, found, heads),
            *incomparable_heads(study, found, heads),
            *unfit_weightings(study, found, heads, make_weighting),
        ]
    findings += dict.fromkeys(_unfitting_draws(study, compose, attempt, base))
    findings += _impossible_epochs(study, config)
    findings += _late_decision(study, config)
    findings += _missing_resources(study.resources, available_cpus, available_gpus)
    problems += [file.source.problem(*finding) for finding in findings]
    if error := file.error(problems):
        raise error
    return study


def _remembering(compose: Compose) -> Compose:
    """The same, but nothing is composed twice."""
    composed = cache(lambda *overrides: compose(overrides))
    return lambda overrides: composed(*overrides)


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


def _refusal(attempt: Attempt, overrides: Sequence[str]) -> str:
    """Why these overrides cannot be composed or tried out; empty if they can."""
    try:
        attempt(overrides)
    except ConfigError as error:
        return "; ".join(str(error).splitlines())
    return ""


def _base_texts(study: Study, compose: Compose, overrides: Mapping[str, str]) -> Iterator[Finding]:
    """Text in ``base`` where the config without it has a number, or true or false."""
    for path, value in study.base.items():
        others = [override for other, override in overrides.items() if other != path]
        if not isinstance(value, str) or "." not in path or _refusal(compose, others):
            continue
        if problem := _text_problem(value, value_at(compose(others), path)):
            yield ("base", path), problem


def _text_problem(value: str, in_config: Value) -> str:
    """What is wrong with text where the config has something else; empty if nothing is."""
    if value == "auto" or "${" in value:
        return ""
    if isinstance(in_config, bool):
        return f"should be true or false, not {written(value)}"
    if isinstance(in_config, int | float):
        return f"should be a number, not {written(value)}{unquoting(value)}"
    return ""


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


class _Example(NamedTuple):
    """What may be drawn for one entry of the study."""

    location: Location
    draw: Draw

    @property
    def overrides(self) -> list[str]:
        return [format_override(path, value) for path, value in self.draw.items()]


def _unfitting_draws(
    study: Study, compose: Compose, attempt: Attempt, base: list[str]
) -> Iterator[Finding]:
    """Draws that the run's config or its network does not take."""
    refused: set[str] = set()
    for active, columns in _by_options(study).items():
        if not refused.isdisjoint(active):
            continue
        for drawn in _covering(columns):
            for example, problem in _problems_in(drawn, compose, attempt, [*base, *active]):
                refused.update(example.overrides)
                yield example.location, problem


def _by_options(study: Study) -> dict[tuple[str, ...], list[list[_Example]]]:
    """The examples of each entry, by the options under which they are drawn, outer ones first."""
    columns: dict[tuple[str, ...], list[list[_Example]]] = defaultdict(list)
    for entry in walk(study.search, ("search",)):
        columns[entry.active].append(
            [
                _Example((*entry.location, *step), draw)
                for step, draw in entry.distribution.examples(entry.path)
            ]
        )
    return columns


def _covering(columns: Sequence[Sequence[_Example]]) -> Iterator[list[_Example]]:
    """Few draws with all examples in them: the first of each entry, then the second, and so on."""
    for index in range(max(map(len, columns))):
        yield [examples[min(index, len(examples) - 1)] for examples in columns if examples]


def _problems_in(
    drawn: Sequence[_Example], compose: Compose, attempt: Attempt, around: Sequence[str]
) -> Iterator[tuple[_Example, str]]:
    """What is wrong with examples that are drawn together; nothing, if they only clash."""
    texts = [(example, _misplaced_text(example, compose, around)) for example in drawn]
    yield from ((example, problem) for example, problem in texts if problem)
    sound = [example for example, problem in texts if not problem]
    together = [override for example in sound for override in example.overrides]
    refusal = _refusal(attempt, [*around, *together])
    if refusal and refusal == _refusal(attempt, around):
        yield _Example(("base",), {}), refusal
        return
    for example in sound if refusal else ():
        if alone := _refusal(attempt, [*around, *example.overrides]):
            yield example, alone


def _misplaced_text(example: _Example, compose: Compose, around: Sequence[str]) -> str:
    texts = [(path, value) for path, value in example.draw.items() if isinstance(value, str)]
    return "".join(_text_problem(value, value_at(compose(around), path)) for path, value in texts)


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
