"""The grammar of a study file: sections that know their keys, and one key that says which kind.

Where several kinds of a thing are possible, one key says which and its value says with what:
`{maximize: val/acc_mean}`, `{log_uniform: [1e-4, 1e-2]}`, `{tpe: {seed: 0}}`. Each kind is a
class whose first field has the name of that key. Pydantic checks; the sentences are ours, because
its own say neither what was found nor what to write.
"""

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from typing import Annotated, Any, Self, TypeAlias

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from mhray.errors import did_you_mean
from mhray.tuning.yaml_lines import Location, Value, read_scalar

# In front of the tags of a union's members, which pydantic puts into locations: no key starts so.
MARK = "\0kind:"
_SENTENCES = {
    "missing": "is missing; write it",
    "int_type": "should be a whole number, not {found}{remedy}",
    "int_from_float": "should be a whole number, not {found}",
    "float_type": "should be a number, not {found}{remedy}",
    "finite_number": "should be a finite number, not {found}",
    "string_type": "should be text, not {found}; write it in quotes if it is meant as text",
    "string_too_short": "should not be empty; write a text",
    "dict_type": "should be a mapping, not {found}; write {{}} for an empty one",
    "tuple_type": "should be a list, not {found}; write it in [ ]",
    "greater_than": "should be above {gt:g}, not {found}",
    "greater_than_equal": "should be {ge:g} or more, not {found}",
}


class Section(BaseModel):
    """A part of the study file. Unknown keys are errors; no text is taken for a number."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)

    @model_validator(mode="wrap")
    @classmethod
    def _knows_every_key(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        match raw:
            case Mapping():
                unknown = [_unknown(key, cls) for key in raw if key not in cls.model_fields]
            case cls():
                unknown = []
            case _:
                keys = ", ".join(cls.model_fields)
                raise ValueError(f"should be a mapping with the keys {keys}, not {written(raw)}")
        if not unknown:
            return handler(raw)
        raise ValidationError.from_exception_data(cls.__name__, unknown + _errors(handler, raw))


def kind_of(*kinds: str) -> Callable[[Any], str]:
    """The discriminator of a union of kinds, after :func:`has_one_kind`: the tag of its key."""

    def tag(raw: Any) -> str:
        keys = type(raw).model_fields if isinstance(raw, BaseModel) else raw
        return MARK + next(key for key in keys if key in kinds)

    return tag


def has_one_kind(*kinds: str) -> BeforeValidator:
    """The check that a value is a mapping with exactly one of the keys."""

    def check(raw: Any) -> Any:
        match raw:
            case BaseModel():
                return raw
            case Mapping():
                return _with_one_key(raw, kinds)
        listing = " or ".join(f"{{{kind}: ...}}" for kind in kinds)
        raise ValueError(f"should say which kind it is, not {written(raw)}; write {listing}")

    return BeforeValidator(check)


def _is_scalar(raw: Any) -> Any:
    match raw:
        case list():
            raise ValueError(f"should be one value, not the list {written(raw)}; write one of them")
        case Mapping():
            raise ValueError("should be one value, not a mapping; write its path with dots")
        case float() if not isfinite(raw):
            raise ValueError(f"should be a finite number, not {written(raw)}")
    return raw


Scalar: TypeAlias = Annotated[Value, BeforeValidator(_is_scalar)]


def written(value: Any) -> str:
    """A value as one would write it in YAML.

    >>> print(written({"a": [None, True, "3", 1e-4]}))
    {a: [null, true, '3', 0.0001]}
    """
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case Mapping():
            return "{" + ", ".join(f"{key}: {written(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(written, value)) + "]"
    return repr(value)


def describe(details: ErrorDetails) -> tuple[Location, str]:
    """Where in the file a validation error is, and what to say about it."""
    location = _as_written(details)
    if details["type"] not in _SENTENCES:
        return location, details["msg"].removeprefix("Value error, ")
    found = details["input"]
    remedy = unquoting(found) if isinstance(found, str) else ""
    fields = {"found": written(found), "remedy": remedy} | details.get("ctx", {})
    return location, _SENTENCES[details["type"]].format(**fields)


def _as_written(details: ErrorDetails) -> Location:
    """The location of an error without the steps that pydantic adds to those of the file."""
    location = tuple(step for step in details["loc"] if not str(step).startswith(MARK))
    match location:
        case (*_, key, "[key]") if key == details["input"]:
            return location[:-1]
    return location


def unquoting(text: str) -> str:
    """What to say where a number belongs and text stands.

    >>> unquoting("3"), unquoting("three")
    ('; write 3 without quotes', '')
    """
    return f"; write {text} without quotes" if isinstance(read_scalar(text), int | float) else ""


def _with_one_key(raw: Mapping[str, Any], kinds: Sequence[str]) -> Mapping[str, Any]:
    found = [key for key in raw if key in kinds]
    if not raw:
        raise ValueError(f"is empty; write one of the kinds {', '.join(kinds)}")
    if not found:
        key = next(iter(raw))
        raise ValueError(f"unknown kind {key}; {did_you_mean(key, kinds)}")
    if len(found) > 1:
        raise ValueError(f"is of the kinds {' and '.join(found)} at once; keep one of them")
    return raw


def _unknown(key: str, section: type[BaseModel]) -> InitErrorDetails:
    hint = did_you_mean(key, section.model_fields)
    error = PydanticCustomError("unknown_key", "unknown key; {hint}", {"hint": hint})
    return InitErrorDetails(type=error, loc=(key,), input=key)


def _errors(handler: ModelWrapValidatorHandler[Any], raw: Any) -> list[InitErrorDetails]:
    """The other errors of a section, in a form that can be raised again."""
    try:
        handler(raw)
    except ValidationError as error:
        return [_again(details) for details in error.errors()]
    return []


def _again(details: ErrorDetails) -> InitErrorDetails:
    # A template of its own, since the message may hold braces that are no fields.
    context = {"message": details["msg"]} | details.get("ctx", {})
    error = PydanticCustomError(details["type"], "{message}", context)
    return InitErrorDetails(type=error, loc=details["loc"], input=details["input"])
