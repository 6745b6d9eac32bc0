"""YAML as Hydra reads it, with the place of every entry.

PyYAML alone follows YAML 1.1: there `1e-4` is text, `on` and `no` are booleans, and of two equal
keys the last one wins silently. Here plain scalars are what Hydra's command line makes of them,
equal keys are a problem, and whoever finds a mistake later can say on which line it stands.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import yaml

Value: TypeAlias = bool | int | float | str | None
Location: TypeAlias = tuple[str | int, ...]

# Hydra's grammar, hydra/grammar/OverrideLexer.g4; infinity is written as in YAML.
_WHOLE = r"(?:0|[1-9](?:_?\d)*)"
_POINT = rf"(?:{_WHOLE}\.|{_WHOLE}?\.\d(?:_?\d)*)"
_INTEGER = re.compile(rf"[+-]?{_WHOLE}")
_FLOAT = re.compile(rf"[+-]?(?:{_POINT}|(?:{_WHOLE}|{_POINT})[eE][+-]?\d(?:_?\d)*|\.inf|\.nan)")
_ALIAS = "it holds an alias"
_DEPTH = 60
_TOO_DEEP = f"it is nested more than {_DEPTH} deep"
_REMEDIES = {_ALIAS: "write the value out", _TOO_DEEP: "write it flatter"}
_DIGITS = 300  # of a whole number that still fits a float
_CONSTANTS: dict[str, Value] = {"": None, "~": None, "null": None, "true": True, "false": False}
_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str"))


@dataclass(frozen=True, order=True)
class Place:
    """A line of a file, or the command line."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake: where it stands, and what is wrong with which entry."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


@dataclass(frozen=True)
class Document:
    """What a YAML text says, and where.

    Attributes:
        value: mappings with text keys, lists and values; None if the text cannot be read.
        places: of every entry, by its location.
        problems: what YAML itself allows, but no reader could have meant.
    """

    value: Any
    places: dict[Location, Place]
    problems: list[Problem]


def read_yaml(text: str, place_of: Callable[[int], Place], at: Location = ()) -> Document:
    """What a YAML text says; lines count from 1, and ``at`` is the location of its root."""
    try:
        root = _compose(text)
        reading = _Reading(place_of)
        value = None if root is None else reading.value(root, at)
    except _UnreadableError as error:
        label = f"{dotted(at)}: " if at else ""
        return Document(None, {}, [Problem(place_of(error.line), f"{label}{error}")])
    return Document(value, {at: place_of(1)} | reading.places, reading.problems)


def read_scalar(text: str) -> Value:
    """What an unquoted word means.

    >>> [read_scalar(word) for word in ("1e-4", "1_000", "010", "on", "true", "null")]
    [0.0001, 1000, '010', 'on', True, None]
    """
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _INTEGER.fullmatch(text) and len(text) <= _DIGITS:
        return int(text)
    if _FLOAT.fullmatch(text.lower()):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


def dotted(location: Location) -> str:
    """A location as a reader writes it.

    >>> dotted(("search", "model.optimizer.lr", "uniform", 0))
    'search.model.optimizer.lr.uniform[0]'
    """
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in location)
    return "".join(steps).removeprefix(".")


class _UnreadableError(Exception):
    """A text is no YAML, and the line on which that shows."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


class _Loader(yaml.SafeLoader):
    """PyYAML's parser without YAML 1.1's ideas of what a word means, and without aliases."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - PyYAML declares it so

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        is_alias = self.check_event(yaml.AliasEvent)
        if is_alias or self.depth > _DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            problem = _ALIAS if is_alias else _TOO_DEEP
            raise yaml.composer.ComposerError(None, None, problem, mark)
        self.depth += 1
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _compose(text: str) -> yaml.Node | None:
    for number, line in enumerate(text.split("\n"), start=1):
        if re.match(r" *\t\s*\S", line):
            raise _UnreadableError(number, "is indented with a tab; write spaces")
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        number = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _UnreadableError(number, _explain(error.problem or "")) from None
    except yaml.YAMLError as error:
        raise _UnreadableError(1, _explain(str(error).split("\n")[0])) from None


def _explain(problem: str) -> str:
    usual = "close every bracket and quote, and put text that holds `: ` in quotes"
    return f"cannot be read as YAML ({problem}); {_REMEDIES.get(problem, usual)}"


class _Reading:
    """One walk over a document's nodes, which notes the place of every entry."""

    def __init__(self, place_of: Callable[[int], Place]) -> None:
        self._place_of = place_of
        self.places: dict[Location, Place] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, location: Location) -> Any:
        """A node's value; its entries are noted."""
        if node.tag not in _PLAIN_TAGS:
            self._note(node, location, f"has the YAML tag {node.tag}; write the value without it")
        match node:
            case yaml.MappingNode():
                return self._mapping(node, location)
            case yaml.SequenceNode():
                return self._sequence(node, location)
        return self._scalar(node)

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key, child in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._note(key, location, "has a key that is not text; write a single word")
                continue
            self._scalar(key)  # raises where it cannot be read
            entry = (*location, key.value)
            if key.value in mapping:
                first = self.places[entry]
                self._note(key, entry, f"is also set at {first}; keep one of the two")
                continue
            self.places[entry] = self._place(key)
            mapping[key.value] = self.value(child, entry)
        return mapping

    def _sequence(self, node: yaml.SequenceNode, location: Location) -> list[Any]:
        for index, child in enumerate(node.value):
            self.places[*location, index] = self._place(child)
        return [self.value(child, (*location, index)) for index, child in enumerate(node.value)]

    def _scalar(self, node: yaml.Node) -> Value:
        text = str(node.value)
        line = node.start_mark.line + 1
        if "\0" in text:
            raise _UnreadableError(line, f"holds a null character in {text!r}; take it out")
        if not (isinstance(node, yaml.ScalarNode) and node.style is None):
            return text
        if len(text) > _DIGITS and _INTEGER.fullmatch(text):
            message = f"holds a number of {len(text)} digits; write at most {_DIGITS}"
            raise _UnreadableError(line, message)
        return read_scalar(text)

    def _place(self, node: yaml.Node) -> Place:
        return self._place_of(node.start_mark.line + 1)

    def _note(self, node: yaml.Node, location: Location, message: str) -> None:
        self.problems.append(Problem(self._place(node), f"{dotted(location)}: {message}"))
