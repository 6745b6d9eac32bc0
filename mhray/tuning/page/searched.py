"""What a study searches, as the reader knows it: a value by path, weights in place of their draws.

Optuna draws a simplex of K weights as K - 1 parts of a stick. Of interest are the weights, so all
that the report says of a searched quantity is said of what stands in the overrides.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mhray.tuning.distributions import Choice, Distribution, Integer, LogUniform, Uniform
from mhray.tuning.simplex import Simplex
from mhray.tuning.space import walk
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Value

EDGE = 0.02  # of a range: nearer than that, the best may lie beyond it


@dataclass(frozen=True)
class Quantity:
    """One searched number or choice.

    Attributes:
        path: of the override.
        low: the lower end of its range; NaN of a choice.
        high: the upper end of its range; NaN of a choice.
        is_log: whether its logarithm is what is uniform.
        is_whole: whether it is a whole number.
        choices: those of a choice; empty of a range.
        weighs: the head whose loss it weighs, or empty.
        is_conditional: whether only some options have it.
        can_grow: whether its upper end is a limit that the user wrote.
    """

    path: str
    low: float = math.nan
    high: float = math.nan
    is_log: bool = False
    is_whole: bool = False
    choices: tuple[Value, ...] = ()
    weighs: str = ""
    is_conditional: bool = False
    can_grow: bool = True

    @property
    def name(self) -> str:
        """The path as far as it is needed to tell what is meant."""
        return f"weight of {self.weighs}" if self.weighs else self.path.split(".", 1)[-1]

    def place(self, value: Value) -> float:
        """Where a value stands in the range or among the choices, from 0 to 1.

        >>> Quantity("lr", 1e-4, 1e-2, is_log=True).place(1e-2)
        1.0
        """
        if self.choices:
            return self.choices.index(value) / (len(self.choices) - 1)
        at = math.log(float(value or 0)) if self.is_log else float(value or 0)
        low, high = (math.log(self.low), math.log(self.high)) if self.is_log else self.ends
        return min(max((at - low) / (high - low), 0.0), 1.0)

    @property
    def ends(self) -> tuple[float, float]:
        """The range."""
        return self.low, self.high

    def edge(self, value: Value) -> str:
        """The end of the range that a value lies at, in words; empty if it lies at none."""
        if self.choices:
            return ""
        at = self.place(value)
        if at <= EDGE:
            return "lower"
        return "upper" if at >= 1 - EDGE and self.can_grow else ""


def quantities_of(study: Study) -> list[Quantity]:
    """All that a study searches; a path with a range in each of several options has the widest."""
    found: dict[str, Quantity] = {}
    for entry in walk(study.search):
        is_conditional = bool(entry.active)
        for quantity in _quantities(entry.path, entry.distribution, is_conditional=is_conditional):
            found[quantity.path] = _joined(found.get(quantity.path), quantity)
    return list(found.values())


def dimensions(quantities: Sequence[Quantity]) -> int:
    """How many numbers one has to choose: of the weights of a simplex all but one."""
    weights = sum(bool(quantity.weighs) and not quantity.can_grow for quantity in quantities)
    return len(quantities) - bool(weights)


def _quantities(
    path: str, distribution: Distribution, *, is_conditional: bool
) -> Iterator[Quantity]:
    bare, weighs = path, _head_of(path)
    match distribution:
        case Uniform(uniform=(low, high)):
            yield Quantity(bare, low, high, weighs=weighs, is_conditional=is_conditional)
        case LogUniform(log_uniform=(low, high)):
            yield Quantity(
                bare, low, high, is_log=True, weighs=weighs, is_conditional=is_conditional
            )
        case Integer(integer=(low, high)):
            yield Quantity(bare, low, high, is_whole=True, is_conditional=is_conditional)
        case Choice(choice=choices):
            yield Quantity(bare, choices=choices, is_conditional=is_conditional)
        case Simplex(simplex=names, floor=floor, total=total):
            most = (total or len(names)) - floor * (len(names) - 1)
            for name in names:
                where = f"{path}.{name}"
                yield Quantity(
                    where,
                    floor,
                    most,
                    weighs=_head_of(where),
                    is_conditional=is_conditional,
                    can_grow=False,
                )
        case _ if distribution.options():
            options = tuple(distribution.options())
            yield Quantity(bare, choices=options, is_conditional=is_conditional)


def _head_of(path: str) -> str:
    prefix = "model.loss_weights."
    return path.removeprefix(prefix) if path.startswith(prefix) else ""


def _joined(before: Quantity | None, now: Quantity) -> Quantity:
    if before is None:
        return now
    return Quantity(
        now.path,
        min(before.low, now.low),
        max(before.high, now.high),
        before.is_log and now.is_log,
        before.is_whole and now.is_whole,
        tuple(dict.fromkeys((*before.choices, *now.choices))),
        now.weighs,
        is_conditional=True,
    )
