"""What a study file may write under ``enqueue:``: trials that are given, not drawn.

Each is a word for a rule by which loss weights follow from the heads, or values by override path.
Whatever it does not say is as in trial 0.
"""

from collections.abc import Callable, Mapping
from math import log
from types import MappingProxyType
from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Discriminator, Strict, Tag

from mhray.errors import did_you_mean
from mhray.heads import Head
from mhray.tuning.schema import MARK, Scalar, written
from mhray.tuning.space import OverridePath

# In these proportions; the sum and the floor are those of the simplex that is searched.
WEIGHT_RULES: Mapping[str, Callable[[Head], float]] = MappingProxyType(
    {
        "equal": lambda _head: 1.0,
        "inverse_log_classes": lambda head: 1 / log(head.num_classes),
        "class_count": lambda head: float(head.num_classes),
    }
)


def _is_rule(word: str) -> str:
    if word not in WEIGHT_RULES:
        hint = did_you_mean(word, WEIGHT_RULES)
        raise ValueError(f"should be a rule or values by path, not {written(word)}; {hint}")
    return word


def _are_values(raw: Any) -> Any:
    match raw:
        case Mapping() if raw:
            return raw
    raise ValueError(
        f"should be a rule or values by path, not {written(raw)}; write {{PATH: VALUE}}, or "
        f"one of: {', '.join(WEIGHT_RULES)}"
    )


def _are_trials(raw: Any) -> Any:
    match raw:
        case None | [_, *_] | (_, *_):
            return raw
    raise ValueError(f"should be a list of trials, not {written(raw)}; write [{{PATH: VALUE}}]")


def _word_or_values(raw: Any) -> str:
    return f"{MARK}word" if isinstance(raw, str) else f"{MARK}values"


Given: TypeAlias = Annotated[
    Annotated[str, AfterValidator(_is_rule), Tag(f"{MARK}word")]
    | Annotated[dict[OverridePath, Scalar], BeforeValidator(_are_values), Tag(f"{MARK}values")],
    Discriminator(_word_or_values),
]
Enqueue: TypeAlias = Annotated[
    Annotated[tuple[Given, ...], Strict(False)] | None, BeforeValidator(_are_trials)
]
