"""Distributions: what one path may be, how a trial draws it, and where trial 0 stands in it.

A distribution asks an Optuna trial for parameters and answers with overrides. Both are named by the
path; a parameter of a `one_of` option has the option in front, so that the same path may have
another range there.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt
from typing import Annotated, Any, Protocol, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Strict
from typing_extensions import override

from mhray.errors import ConfigError, no_such_head
from mhray.tuning.schema import Scalar, Section, unquoting, written
from mhray.tuning.yaml_lines import Location, Value

Draw: TypeAlias = dict[str, Value]
ConfigValue: TypeAlias = Callable[[str], Value]
LOSS_WEIGHTS = "model.loss_weights"


class Suggester(Protocol):
    """The part of an Optuna trial that a distribution uses."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = ...) -> float:
        """A float in [low, high]."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """An integer in [low, high]."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """One of ``choices``."""


class Distribution(Section, ABC):
    """What one path may be. A subclass's first field has the name of its key in YAML."""

    @abstractmethod
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        """The overrides that a trial gets: values by path."""

    @abstractmethod
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        """The parameters of trial 0: values by the names that :meth:`draw` asks for."""

    def sets(self, path: str) -> tuple[str, ...]:
        """The paths that a draw sets, or what holds them all."""
        return (path,)

    def options(self) -> Mapping[str, Mapping[str, "Distribution"]]:
        """The spaces that hang on the options of this path, by option."""
        return {}

    def refusal(self, value: Value) -> str:
        """Why no trial draws this value; empty if one may."""
        del value
        return ""

    def examples(self, path: str) -> Iterator[tuple[Location, Draw]]:
        """Draws, each with its location, that show whether a config takes all that may be drawn."""
        for end in (0, 1):
            yield (), self.draw(path, _End(end), "")

    def every(self, path: str, scope: str) -> list[Draw]:
        """The parameters of each possible draw, named as :meth:`draw` asks; empty for a range."""
        del path, scope
        return []

    def with_heads(self, heads: Sequence[str]) -> "Distribution":
        """The same, with the heads of the data where heads are meant."""
        del heads
        return self

    def misfits(self, where: str, path: str, heads: Sequence[str]) -> Iterator[ConfigError]:
        """Why this cannot be drawn for data with these heads; ``where`` goes into the message."""
        head = path.removeprefix(f"{LOSS_WEIGHTS}.")
        if head not in (path, *heads):
            yield no_such_head(where, head, heads)


def _is_pair(raw: Any) -> Any:
    match raw:
        case [_, _]:
            return raw
    raise ValueError(f"should be two numbers [low, high], not {written(raw)}")


def _low_first(bounds: tuple[float, float]) -> tuple[float, float]:
    low, high = bounds
    if low > high:
        raise ValueError(f"should have its lower end first; write [{high!r}, {low!r}]")
    if low == high:
        raise ValueError(f"holds one number; write two different ends, or put {low!r} in base")
    return bounds


def _positive(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] <= 0:
        raise ValueError(f"should lie above 0 to have a logarithm, not {written(bounds)}")
    return bounds


# The validator that is named last runs first.
Range: TypeAlias = Annotated[
    tuple[float, float], Strict(False), AfterValidator(_low_first), BeforeValidator(_is_pair)
]
LogRange: TypeAlias = Annotated[Range, AfterValidator(_positive)]
IntRange: TypeAlias = Annotated[
    tuple[int, int], Strict(False), AfterValidator(_low_first), BeforeValidator(_is_pair)
]


class Uniform(Distribution):
    """A float between two bounds."""

    uniform: Range

    @override
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        return {path: trial.suggest_float(scope + path, *self.uniform)}

    @override
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        low, high = self.uniform
        return {scope + path: _clipped(config_value(path), low, high, (low + high) / 2)}

    @override
    def refusal(self, value: Value) -> str:
        return _outside(value, self.uniform)


class LogUniform(Distribution):
    """A positive float whose logarithm is uniform: for rates and scales."""

    log_uniform: LogRange

    @override
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        return {path: trial.suggest_float(scope + path, *self.log_uniform, log=True)}

    @override
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        low, high = self.log_uniform
        return {scope + path: _clipped(config_value(path), low, high, sqrt(low) * sqrt(high))}

    @override
    def refusal(self, value: Value) -> str:
        return _outside(value, self.log_uniform)


class Integer(Distribution):
    """An integer between two bounds, both included."""

    integer: IntRange

    @override
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        return {path: trial.suggest_int(scope + path, *self.integer)}

    @override
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        low, high = self.integer
        return {scope + path: round(_clipped(config_value(path), low, high, (low + high) // 2))}

    @override
    def refusal(self, value: Value) -> str:
        if isinstance(value, float) and not value.is_integer():
            return f"should be a whole number, not {written(value)}"
        return _outside(value, self.integer)


def _are_choices(raw: Any) -> Any:
    match raw:
        case [_, _, *_]:
            return raw
    raise ValueError(f"should be a list of two or more values, not {written(raw)}")


def _differ(values: tuple[Value, ...]) -> tuple[Value, ...]:
    keys = [_identity(value) for value in values]
    for index, value in enumerate(values):
        if keys[index] in keys[:index]:
            raise ValueError(f"holds {written(value)} twice; keep one of the two")
    return values


def _identity(value: Value) -> tuple[bool, Value]:
    """What differs where values do; true is not 1, although Python has it so."""
    return isinstance(value, bool), value


class Choice(Distribution):
    """One of a few values, with no order between them."""

    choice: Annotated[
        tuple[Scalar, ...], Strict(False), AfterValidator(_differ), BeforeValidator(_are_choices)
    ]

    @override
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        labels = self.labels
        return {path: self.choice[labels.index(trial.suggest_categorical(scope + path, labels))]}

    @override
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        keys = [_identity(value) for value in self.choice]
        key = _identity(config_value(path))
        return {scope + path: self.labels[keys.index(key) if key in keys else 0]}

    @override
    def refusal(self, value: Value) -> str:
        if _identity(value) in map(_identity, self.choice):
            return ""
        return f"should be one of {', '.join(map(written, self.choice))}, not {written(value)}"

    @override
    def examples(self, path: str) -> Iterator[tuple[Location, Draw]]:
        for index, value in enumerate(self.choice):
            yield ("choice", index), {path: value}

    @override
    def every(self, path: str, scope: str) -> list[Draw]:
        return [{scope + path: label} for label in self.labels]

    @property
    def labels(self) -> tuple[Value, ...]:
        """The choices by the names that Optuna has: text, where it could not tell 1 from true."""
        if len(set(self.choice)) == len(self.choice):
            return self.choice
        return tuple(written(value) for value in self.choice)


class _End:
    """A trial that gets one end of every range, the low or the high one, and the first choices."""

    def __init__(self, index: int) -> None:
        self._index = index

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        del name, log
        return (low, high)[self._index]

    def suggest_int(self, name: str, low: int, high: int) -> int:
        del name
        return (low, high)[self._index]

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        del name
        return choices[0]


def _clipped(value: Value, low: float, high: float, otherwise: float) -> float:
    """A config's value in the range, or ``otherwise`` where the config holds no number."""
    if isinstance(value, bool | str | None):
        return otherwise
    return min(max(float(value), low), high)


def _outside(value: Value, bounds: tuple[float, float]) -> str:
    """What is wrong with a value that should lie in a range; empty if nothing is."""
    low, high = bounds
    if isinstance(value, bool | str | None) or not low <= value <= high:
        remedy = unquoting(value) if isinstance(value, str) else ""
        return f"should be a number from {low!r} to {high!r}, not {written(value)}{remedy}"
    return ""
