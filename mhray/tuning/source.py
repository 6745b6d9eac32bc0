"""What the author of a study wrote: its file, its space files and the command line, as one mapping.

Every entry keeps the place it comes from, so that a mistake is reported where it can be mended.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mhray.errors import ConfigError, did_you_mean
from mhray.tuning.yaml_lines import Location, Place, Problem, dotted, read_yaml

_COMMAND_LINE = Place("command line", 0)
_PATHS_INSIDE = ("base", "search")  # their keys hold dots


@dataclass(frozen=True)
class Source:
    """A study as it was written.

    Attributes:
        text: what the file holds.
        raw: the file with space files filled in and overrides applied.
        places: of every entry.
        typed: the overrides, by the location that they set.
        problems: found while reading.
    """

    text: str
    raw: dict[str, Any]
    places: dict[Location, Place]
    typed: dict[Location, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problem(self, location: Location, message: str) -> Problem:
        """A problem with an entry, at its place or at that of what should hold it."""
        return Problem(self.place(location), f"{self.label(location)}: {message}")

    def place(self, location: Location) -> Place:
        """The place of an entry, or of what should hold it."""
        if location not in self.places and self._typed_below(location):
            return _COMMAND_LINE
        known = (location[:end] for end in range(len(location), -1, -1))
        return next(self.places[part] for part in known if part in self.places)

    def label(self, location: Location) -> str:
        """An entry's name in a message: its dotted path, or the override that sets it."""
        below = () if location in self.places else self._typed_below(location)
        return self.typed.get(location, below[0] if below else dotted(location))

    def _typed_below(self, location: Location) -> list[str]:
        """The overrides that set something inside an entry."""
        end = len(location)
        return [text for place, text in self.typed.items() if end and place[:end] == location]


def read_source(path: Path, overrides: Sequence[str], space_root: Path) -> Source:
    """Read a study file, apply overrides and fill in space files, which lie below ``space_root``.

    Raises:
        ConfigError: the file cannot be read at all.
    """
    text = _read_text(path, path)
    document = read_yaml(text, partial(Place, str(path)))
    if not isinstance(document.value, dict):
        problems = document.problems or [Problem(Place(str(path), 1), "holds no study; write one")]
        raise report(path, problems)
    source = Source(text, document.value, document.places, problems=list(document.problems))
    for override in overrides:
        _apply(source, override)
    _fill_options(source, source.raw.get("search"), ("search",), space_root, ())
    return source


def report(path: Path, problems: Iterable[Problem]) -> ConfigError:
    """The one error that holds all problems of a study."""
    lines = [f"  {problem}" for problem in sorted(problems)]
    count = f"{len(lines)} problem{'s' * (len(lines) > 1)}"
    return ConfigError("\n".join([f"{path} has {count}:", *lines]))


def _read_text(path: Path, shown: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        known = [str(shown.parent / file.name) for file in sorted(path.parent.glob("*.yaml"))]
        hint = did_you_mean(str(shown), known) if known else "write the path of a YAML file"
        raise ConfigError(f"there is no file {shown}; {hint}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{shown} is no text; write the path of a YAML file in UTF-8") from None
    except ValueError:  # Python's for names that no system has
        raise ConfigError(f"{str(shown)!r} is no file name; write a YAML file's path") from None
    except OSError as error:
        reason = error.strerror
        raise ConfigError(f"{shown} cannot be read ({reason}); write a YAML file's path") from None


def _apply(source: Source, override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals:
        message = f"{override}: sets nothing; write {override}=VALUE"
        source.problems.append(Problem(_COMMAND_LINE, message))
        return
    location = _location_of(key, _mapping(source.raw.get("search")))
    document = read_yaml(text, lambda _: _COMMAND_LINE, at=location)
    source.problems.extend(document.problems)
    if document.problems and document.value is None:
        return
    for known in [known for known in source.places if known[: len(location)] == location]:
        del source.places[known]
    source.places.update(document.places)
    source.places[location] = _COMMAND_LINE
    source.typed[location] = override
    _put(source.raw, location, document.value)


def _location_of(key: str, search: Mapping[str, Any]) -> Location:
    """The entry that an override sets; of a distribution that is searched, also a part."""
    section, _, inside = key.partition(".")
    if section not in _PATHS_INSIDE or not inside:
        return tuple(key.split("."))
    path, _, part = inside.rpartition(".")
    of_part = section == "search" and part in _mapping(search.get(path))
    return (section, path, part) if of_part else (section, inside)


def _put(raw: dict[str, Any], location: Location, value: Any) -> None:
    *sections, last = map(str, location)
    for section in sections:
        if not isinstance(raw.get(section), dict):
            raw[section] = {}
        raw = raw[section]
    raw[last] = value


def _fill_options(
    source: Source, space: Any, location: Location, root: Path, inside: tuple[str, ...]
) -> None:
    """Put what space files hold in the place of their names, in all options below ``space``."""
    for path, entry in _mapping(space).items():
        options = _mapping(_mapping(entry).get("one_of"))
        for option, value in options.items():
            here = (*location, path, "one_of", option)
            files = inside
            if isinstance(value, str):
                files = (*inside, value)
                options[option] = _read_space(source, here, root, files)
            _fill_options(source, options[option], here, root, files)


def _mapping(raw: Any) -> dict[str, Any]:
    """What is looked into for space files; the schema speaks about what is no mapping."""
    return raw if isinstance(raw, dict) else {}


def _read_space(source: Source, location: Location, root: Path, files: tuple[str, ...]) -> Any:
    name = Path(files[-1])
    if files[-1] in files[:-1]:
        source.problems.append(source.problem(location, f"{name} is inside itself; write a space"))
        return {}
    try:
        text = _read_text(root / name, name)
    except ConfigError as error:
        source.problems.append(source.problem(location, str(error)))
        return {}
    document = read_yaml(text, partial(Place, str(name)), at=location)
    source.places.update(document.places)
    source.problems.extend(document.problems)
    return {} if document.problems else document.value
