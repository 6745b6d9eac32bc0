"""What is wrong with a study that only the composed run, the data and the machines can tell.

All of them come in as one :class:`World`: this module imports none, trains nothing and starts
nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from mhray.errors import ConfigError, MhrayError, no_such_head
from mhray.heads import Head
from mhray.training.unknown_keys import KEYS_OF_A_RUN
from mhray.tuning.capacity import parallel_trials
from mhray.tuning.distributions import LOSS_WEIGHTS
from mhray.tuning.enqueue_rules import unfit_weights
from mhray.tuning.left_out import incomparable_heads, unfit_heads, unlogged_metrics, variants
from mhray.tuning.rules import Finding, by_path, late_decision
from mhray.tuning.shortage import missing_resources, missing_room
from mhray.tuning.space import format_override, resolve_heads, value_at, walk
from mhray.tuning.study import Study
from mhray.tuning.study_file import StudyFile
from mhray.tuning.trial_overrides import fixed_overrides
from mhray.tuning.tried_draws import Attempt, text_problem, unfitting_draws
from mhray.tuning.weightings import unfit_weightings
from mhray.tuning.world import Compose, World, refusal, remembering
from mhray.tuning.yaml_lines import Location, Problem

_WITHOUT_DATA = set(KEYS_OF_A_RUN) - {"data", "paths"}


def check_study(file: StudyFile, world: World) -> Study:
    """The study with its heads filled in, after every check that needs more than the file.

    Args:
        file: as :func:`read_study` gives it; its own problems are reported with those found here.
        world: what the file does not show.

    Raises:
        ConfigError: one message with every problem, each with its line.
    """
    world = replace(world, compose=remembering(world.compose))
    study = file.study
    base, findings = _fitting_base(study, world)
    sizes = [0]
    attempt: Attempt = world.compose
    problems: list[Problem] = []
    try:
        heads = _heads_of(world, base, findings)
    except MhrayError as unreadable:
        # A wrong base reads the wrong data, about which there is nothing to say.
        findings += [] if findings else by_path(study, str(unreadable))
    else:
        problems += _misfits(file, [head.name for head in heads])
        if not problems:
            study = _resolved(study, [head.name for head in heads])
            findings += unfit_weights(study, heads)
            # What lacks some of its base may fail for that alone.
            attempt = world.compose if findings else partial(_try_out, world, sizes)
        findings += _unfit_for_the_heads(study, world, base, heads)
    told = {message for _, message in findings}
    drawn = unfitting_draws(study, world.compose, attempt, base)
    findings += [finding for finding in drawn if finding[1] not in told]
    findings += _late_decision(study, world.compose(base))
    findings += missing_resources(study.resources, world.available)
    at_a_time = parallel_trials(study.resources, world.available)
    findings += missing_room(study, max(sizes), world.free_bytes, at_a_time)
    # Of an entry that the file alone shows to be wrong, enough is said.
    problems += [
        file.source.problem(location, message)
        for location, message in dict.fromkeys(findings)
        if not any(location[: len(wrong)] == wrong for wrong in file.wrong)
    ]
    if error := file.error(problems):
        raise error
    return study


def _heads_of(world: World, base: Sequence[str], findings: Iterable[Finding]) -> Sequence[Head]:
    if any(_may_change_data(location) for location, _ in findings):
        raise ConfigError("base: which data are meant cannot be told; mend it")
    return world.read_heads(world.compose(base))


def _may_change_data(location: Location) -> bool:
    """Whether a place in ``base`` decides which data are read, as an experiment does."""
    section = str(location[-1]).lstrip("+").partition(".")[0]
    return location[0] == "base" and section not in _WITHOUT_DATA


def _unfit_for_the_heads(
    study: Study, world: World, base: Sequence[str], heads: Sequence[Head]
) -> list[Finding]:
    found = variants(study, world.compose, base)
    # Of heads that the data lack there are no metrics.
    return list(unfit_heads(study, found, heads)) or [
        *unlogged_metrics(study, found, heads),
        *incomparable_heads(study, found, heads),
        *unfit_weightings(study, found, heads, world.make_weighting),
    ]


def _fitting_base(study: Study, world: World) -> tuple[list[str], list[Finding]]:
    """What all trials have, without what is wrong with it; and what that is."""
    overrides = {path: format_override(path, value) for path, value in study.base.items()}
    own = [override for override in fixed_overrides(study) if override not in overrides.values()]
    findings: list[Finding] = []
    if refusal(world.compose, [*overrides.values(), *own]):
        overrides, findings = _composing(overrides, world.compose)
    findings += _base_texts(study, world.compose, overrides)
    findings += by_path(study, refusal(world.check, _without(findings, overrides, own)))
    return _without(findings, overrides, own), findings


def _without(
    findings: Iterable[Finding], overrides: Mapping[str, str], own: Sequence[str]
) -> list[str]:
    """The overrides, given by path, of which nothing was found."""
    wrong = {location for location, _ in findings}
    return [*(text for path, text in overrides.items() if ("base", path) not in wrong), *own]


def _composing(
    overrides: Mapping[str, str], compose: Compose
) -> tuple[dict[str, str], list[Finding]]:
    """The overrides of ``base`` that compose, by path, and what is wrong with the others."""
    fitting: dict[str, str] = {}
    findings: list[Finding] = []
    # Groups first: they bring the keys that the others set.
    for path in sorted(overrides, key=lambda path: "." in path):
        if refused := refusal(compose, [*fitting.values(), overrides[path]]):
            findings.append((("base", path), _without_path(refused, path)))
        else:
            fitting[path] = overrides[path]
    return fitting, findings


def _without_path(refused: str, path: str) -> str:
    """The lines of a refusal as one, without the path that stands in front already."""
    return "; ".join(refused.splitlines()).removeprefix(f"{path.lstrip('+')}: ")


def _base_texts(study: Study, compose: Compose, overrides: Mapping[str, str]) -> Iterator[Finding]:
    """Text in ``base`` where the config without it has a number, or true or false."""
    for path, value in study.base.items():
        others = [override for other, override in overrides.items() if other != path]
        if not isinstance(value, str) or "." not in path or refusal(compose, others):
            continue
        if problem := text_problem(value, value_at(compose(others), path)):
            yield ("base", path), problem


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


def _try_out(world: World, sizes: list[int], overrides: Sequence[str]) -> None:
    sizes.append(world.try_out(world.compose(overrides)))


def _late_decision(study: Study, config: Mapping[str, Any]) -> Iterator[Finding]:
    max_epochs = value_at(config, "trainer.max_epochs")
    is_set_elsewhere = "trainer.max_epochs" not in study.base
    if is_set_elsewhere and isinstance(max_epochs, int):
        yield from late_decision(study, max_epochs)
