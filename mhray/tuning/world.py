"""What a study is checked against: the configs of the project, the data and the machines.

The check imports none of them; whoever calls it hands them over.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

from mhray.errors import MhrayError
from mhray.heads import Head
from mhray.models.weighting import Weighting
from mhray.tuning.capacity import Capacity

Compose: TypeAlias = Callable[[Sequence[str]], Mapping[str, Any]]
Check: TypeAlias = Callable[[Sequence[str]], None]
ReadHeads: TypeAlias = Callable[[Mapping[str, Any]], Sequence[Head]]
# Of a run's section ``model``, the classes of the heads that it trains, and their loss weights.
MakeWeighting: TypeAlias = Callable[
    [Mapping[str, Any], Mapping[str, int], Mapping[str, float]], Weighting
]
TryOut: TypeAlias = Callable[[Mapping[str, Any]], int]
FreeBytes: TypeAlias = Callable[[Path], float]


@dataclass(frozen=True)
class World:
    """All that a study's file does not show.

    Attributes:
        compose: the config of one run from overrides; raises ConfigError.
        check: raises ConfigError for each value that no run takes, from overrides that compose.
        read_heads: the heads of a config's data; raises ConfigError or DataError.
        make_weighting: the weighting of a section ``model``; raises ConfigError.
        try_out: a step of a config's run; gives its number of parameters; raises MhrayError.
        available: what the sweep can ever have.
        free_bytes: the room on the disk on which a directory is, or will be.
    """

    compose: Compose
    check: Check
    read_heads: ReadHeads
    make_weighting: MakeWeighting
    try_out: TryOut
    available: Capacity
    free_bytes: FreeBytes


def remembering(compose: Compose) -> Compose:
    """The same, but nothing is composed twice."""
    composed = cache(lambda *overrides: compose(overrides))
    return lambda overrides: composed(*overrides)


def refusal(attempt: Callable[[Sequence[str]], object], overrides: Sequence[str]) -> str:
    """Why overrides cannot be composed or tried out, a line each; empty if they can."""
    try:
        attempt(overrides)
    except MhrayError as error:
        return str(error)
    return ""
