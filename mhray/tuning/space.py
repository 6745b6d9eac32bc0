"""The search language: what a study may vary, and how one trial draws from it.

A space maps override paths to distributions. A path is what one types after
`python -m mhray.train`, so anything that can be set by hand can be searched, and a trial is nothing
but a few overrides. Spaces are drawn define-by-run: what hangs on an option is asked for only in
the trials that chose it.

>>> space = parse_space({"model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]}})
>>> baseline(space, {"model.optimizer.lr": 0.5}.get)
{'model.optimizer.lr': 0.01}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias, cast

from pydantic import AfterValidator, BeforeValidator, Discriminator, Tag, TypeAdapter
from typing_extensions import override

from mhray.errors import did_you_mean
from mhray.tuning.distributions import (
    LOSS_WEIGHTS,
    Choice,
    ConfigValue,
    Distribution,
    Draw,
    Integer,
    LogUniform,
    Suggester,
    Uniform,
)
from mhray.tuning.schema import MARK, has_one_kind, kind_of, written
from mhray.tuning.simplex import Simplex
from mhray.tuning.yaml_lines import Location, Value, read_scalar

_KINDS = ("uniform", "log_uniform", "integer", "choice", "simplex", "one_of")
_PATH = re.compile(r"[+]{0,2}[\w$][\w$/@-]*([.][\w$-]+)*")
_FLOATS = ("inf", "nan")  # words to YAML, numbers to Hydra
_BARE_WORD = re.compile(r"[A-Za-z_/][\w./-]*|[0-9]+[KMGT]iB", re.ASCII)  # or a size of memory


def _is_no_value(raw: Any) -> Any:
    match raw:
        case Mapping() | Distribution():
            return raw
        case list():
            raise ValueError(f"is a list; write {{choice: {written(raw)}}}")
    raise ValueError(f"is one value; put it in base, or write {{choice: [{written(raw)}, ...]}}")


def _is_path(raw: str) -> str:
    """An override path, checked."""
    if not _PATH.fullmatch(raw):
        raise ValueError("is no override path; write what stands before the = of an override")
    return raw


def _are_options(raw: Any) -> Any:
    match raw:
        case Mapping() if len(raw) > 1:
            return raw
        case list():
            raise ValueError(f"is a list; write {{choice: {written(raw)}}} or a space per option")
    raise ValueError(f"should hold two or more options, each with a space, not {written(raw)}")


class OneOf(Distribution):
    """One of several options of a group, each with a space of its own or the name of its file."""

    one_of: Annotated[dict[str, "Space"], BeforeValidator(_are_options)]

    @override
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        option = str(trial.suggest_categorical(scope + path, tuple(self.one_of)))
        return {path: option} | draw(self.one_of[option], trial, inside(scope, path, option))

    @override
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        option, space = next(iter(self.one_of.items()))
        below = _baseline(space, config_value, inside(scope, path, option))
        return {scope + path: option} | below

    @override
    def options(self) -> Mapping[str, Mapping[str, Distribution]]:
        return self.one_of

    @override
    def refusal(self, value: Value) -> str:
        if value in self.one_of:
            return ""
        return f"is no option: {written(value)}; {did_you_mean(str(value), self.one_of)}"

    @override
    def examples(self, path: str) -> Iterator[tuple[Location, Draw]]:
        for option in self.one_of:
            yield ("one_of", option), {path: option}

    @override
    def every(self, path: str, scope: str) -> list[Draw]:
        return [
            {scope + path: option, **below}
            for option, space in self.one_of.items()
            for below in combinations(space, inside(scope, path, option))
        ]

    @override
    def with_heads(self, heads: Sequence[str]) -> Distribution:
        options = {option: _with_heads(space, heads) for option, space in self.one_of.items()}
        return self.model_copy(update={"one_of": options})


AnyDistribution: TypeAlias = Annotated[
    Annotated[Uniform, Tag(f"{MARK}uniform")]
    | Annotated[LogUniform, Tag(f"{MARK}log_uniform")]
    | Annotated[Integer, Tag(f"{MARK}integer")]
    | Annotated[Choice, Tag(f"{MARK}choice")]
    | Annotated[Simplex, Tag(f"{MARK}simplex")]
    | Annotated[OneOf, Tag(f"{MARK}one_of")],
    Discriminator(kind_of(*_KINDS)),
    has_one_kind(*_KINDS),
    BeforeValidator(_is_no_value),
]
OverridePath: TypeAlias = Annotated[str, AfterValidator(_is_path)]
Space: TypeAlias = dict[OverridePath, AnyDistribution]
OneOf.model_rebuild()


@dataclass(frozen=True)
class Entry:
    """One searched path of a space or of an option within it.

    Attributes:
        location: where the study file has it.
        active: the options under which it is drawn, as overrides.
    """

    location: Location
    path: str
    distribution: Distribution
    active: tuple[str, ...]


def parse_space(raw: Mapping[str, Any]) -> Space:
    """A space from what YAML holds.

    Raises:
        ValidationError: pydantic's, with every mistake; :func:`describe` puts it into words.
    """
    return TypeAdapter[Space](Space).validate_python(raw)


def draw(space: Mapping[str, Distribution], trial: Suggester, scope: str = "") -> Draw:
    """The overrides of one trial, values by path, in the order of the space."""
    overrides: Draw = {}
    for path, distribution in space.items():
        overrides |= distribution.draw(path, trial, scope)
    return overrides


def combinations(space: Mapping[str, Distribution], scope: str = "") -> list[Draw]:
    """All that a space of choices may draw, as parameters; its first path varies fastest.

    >>> combinations(parse_space({"a": {"choice": [1, 2]}, "b": {"choice": [3, 4]}}))
    [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}, {'a': 1, 'b': 4}, {'a': 2, 'b': 4}]
    """
    found: list[Draw] = [{}]
    for path, distribution in space.items():
        found = [{**some, **more} for more in distribution.every(path, scope) for some in found]
    return found


def baseline(
    space: Mapping[str, Distribution],
    config_value: ConfigValue,
    given: Mapping[str, Value] = MappingProxyType({}),
) -> Draw:
    """A trial's parameters, to be enqueued: values by the names under which they are drawn.

    A path that is ``given`` a value has that one. Else loss weights are equal and an option is the
    first; every other path keeps its ``config_value`` (None: it has none), clipped into its range;
    else it has the middle of the range or the first choice.
    """

    def value_of(path: str) -> Value:
        is_weight = path.lstrip("+").startswith(f"{LOSS_WEIGHTS}.")
        return given.get(path, 1.0 if is_weight else config_value(path))

    return _baseline(space, value_of, "")


def with_options(
    space: Mapping[str, Distribution], chosen: Mapping[str, Value]
) -> dict[str, Distribution]:
    """The space in which each `one_of` has a single option: what is chosen, or else its first.

    >>> space = parse_space({"model": {"one_of": {"cnn": {}, "vit": {}}}})
    >>> baseline(with_options(space, {"model": "vit"}), {}.get)
    {'model': 'vit'}
    """
    return {
        path: _with_option(distribution, chosen, chosen.get(path))
        for path, distribution in space.items()
    }


def resolve_heads(space: Mapping[str, Distribution], heads: Sequence[str]) -> Space:
    """The space with the data's heads where it says `simplex: heads`.

    Raises:
        HeadMismatchError: it names a head that the data lack.
        ConfigError: floors that leave no room for so many heads.
    """
    for entry in walk(space):
        for misfit in entry.distribution.misfits(entry.path, entry.path, heads):
            raise misfit
    return _with_heads(space, heads)


def walk(
    space: Mapping[str, Distribution], location: Location = (), active: tuple[str, ...] = ()
) -> Iterator[Entry]:
    """Every path that may be drawn, those of all options included."""
    for path, distribution in space.items():
        here = (*location, path)
        yield Entry(here, path, distribution, active)
        for option, options_space in distribution.options().items():
            chosen = (*active, format_override(path, option))
            yield from walk(options_space, (*here, "one_of", option), chosen)


def value_at(config: Mapping[str, Any], path: str) -> Value:
    """The value of a path in a composed config; None if there is none, or no single one.

    >>> value_at({"trainer": {"max_epochs": 8}}, "trainer.max_epochs")
    8
    """
    node: Any = config
    for key in path.lstrip("+").split("."):
        node = node.get(key) if isinstance(node, Mapping) else None
    return node if isinstance(node, Value) else None


def format_override(path: str, value: Value) -> str:
    """An override that Hydra reads back as the same value.

    >>> format_override("model.optimizer.lr", 1e-4), format_override("data.source", "my data")
    ('model.optimizer.lr=0.0001', "data.source='my data'")
    >>> format_override("per_worker.memory", "1GiB")
    'per_worker.memory=1GiB'
    """
    match value:
        case None:
            return f"{path}=null"
        case bool():
            return f"{path}={str(value).lower()}"
        case str():
            return f"{path}={_quoted(value)}"
    return f"{path}={value!r}"


def inside(scope: str, path: str, option: str) -> str:
    """What stands in front of the names of parameters below an option."""
    return f"{scope}{path}={option}/"


def _baseline(space: Mapping[str, Distribution], config_value: ConfigValue, scope: str) -> Draw:
    parameters: Draw = {}
    for path, distribution in space.items():
        parameters |= distribution.baseline(path, config_value, scope)
    return parameters


def _with_option(
    distribution: Distribution, chosen: Mapping[str, Value], option: Value
) -> Distribution:
    options = distribution.options()
    if not options:
        return distribution
    kept = str(option) if option in options else next(iter(options))
    return distribution.model_copy(update={"one_of": {kept: with_options(options[kept], chosen)}})


def _with_heads(space: Mapping[str, Distribution], heads: Sequence[str]) -> Space:
    return cast(
        Space, {path: distribution.with_heads(heads) for path, distribution in space.items()}
    )


def _quoted(text: str) -> str:
    if _BARE_WORD.fullmatch(text) and read_scalar(text) == text and text.lower() not in _FLOATS:
        return text
    # In quotes a backslash is special only in front of a quote, the closing one included.
    escaped = re.sub(r"(\\*)('|\Z)", lambda run: run[1] * 2 + run[2].replace("'", r"\'"), text)
    return f"'{escaped}'"
