"""Reading a study file: everything that the file alone shows to be wrong, found at once."""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mhray.errors import ConfigError
from mhray.tuning.rules import Finding, broken_rules
from mhray.tuning.schema import describe
from mhray.tuning.source import Source, read_source, report
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location, Problem

_EMPTY = "is empty; write what to vary, as in model.optimizer.lr: {log_uniform: [1e-4, 1e-2]}"


@dataclass(frozen=True)
class StudyFile:
    """A study with the file it was read from.

    Attributes:
        path: of the study file, as it was named.
        text: what the file holds.
        overrides: what the command line changed in it.
        study: what is meant; where there are problems, without the entries that are wrong.
        source: where every entry stands.
        problems: what is wrong.
        wrong: the entries of which a problem tells.
    """

    path: Path
    text: str
    overrides: tuple[str, ...]
    study: Study
    source: Source
    problems: tuple[Problem, ...]
    wrong: tuple[Location, ...]

    def error(self, more: Iterable[Problem] = ()) -> ConfigError | None:
        """The error that holds all problems of the file and ``more``, if there are any."""
        problems = [*self.problems, *more]
        return report(self.path, problems) if problems else None


def load_study(path: Path, overrides: Sequence[str] = (), space_root: Path = Path()) -> StudyFile:
    """A study in which nothing is wrong that the file alone can show.

    Raises:
        ConfigError: one message with every problem, each with its line.
    """
    file = read_study(path, overrides, space_root)
    if error := file.error():
        raise error
    return file


def read_study(path: Path, overrides: Sequence[str] = (), space_root: Path = Path()) -> StudyFile:
    """A study file with its problems, for those who look for more of them before they raise.

    Relative names of space files are looked up in ``space_root``; ``overrides`` are `key=value`.

    Raises:
        ConfigError: the file cannot be read, or is no YAML.
    """
    source = read_source(path, overrides, space_root)
    study, findings = _validated(source.raw)
    findings += broken_rules(study)
    if "search" in source.raw and not source.raw["search"]:
        findings = [(("search",), _EMPTY), *(each for each in findings if each[0] != ("search",))]
    problems = [*source.problems, *(source.problem(*finding) for finding in findings)]
    wrong = tuple(location for location, _ in findings)
    return StudyFile(path, source.text, tuple(overrides), study, source, tuple(problems), wrong)


def _validated(raw: dict[str, Any]) -> tuple[Study, list[Finding]]:
    """A study of all entries that are right, and what is wrong with the others."""
    try:
        return Study.model_validate(raw), []
    except ValidationError as error:
        findings = [describe(details) for details in error.errors()]
    sound = deepcopy(raw)
    while True:
        try:
            return Study.model_validate({"name": "unnamed", "search": {}} | sound), findings
        except ValidationError as error:
            _remove([describe(details)[0] for details in error.errors()], sound)


def _remove(locations: Iterable[Location], raw: dict[str, Any]) -> None:
    """Take the innermost keys on the way to these locations out of ``raw``."""
    keys = {_keys_towards(location, raw) for location in locations}
    for *sections, last in sorted(keys, key=len, reverse=True):
        holder = raw
        for section in sections:
            holder = holder[section]
        del holder[last]


def _keys_towards(location: Location, raw: Any) -> tuple[str, ...]:
    keys: list[str] = []
    for step in map(str, location):
        if not isinstance(raw, dict) or step not in raw:
            break
        keys.append(step)
        raw = raw[step]
    return tuple(keys)
