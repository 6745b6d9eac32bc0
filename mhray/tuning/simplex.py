"""The simplex: weights that sum to a total, as loss weights do that only share the gradient out."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, Strict, model_validator
from typing_extensions import override

from mhray.errors import ConfigError, no_such_head
from mhray.tuning.distributions import LOSS_WEIGHTS, ConfigValue, Distribution, Draw, Suggester
from mhray.tuning.schema import written
from mhray.tuning.yaml_lines import Location, Value

TOLERANCE = 1e-4  # of the sum: 1.3333 is how one types 4/3


def _are_heads_or_names(raw: Any) -> Any:
    match raw:
        case "heads":
            return raw
        case [_, _, *_] if all(isinstance(name, str) for name in raw):
            if len(set(raw)) == len(raw):
                return raw
            raise ValueError(f"names a weight twice in {written(raw)}; keep one of the two")
    raise ValueError(f"should be the word heads or a list of two or more names, not {written(raw)}")


class Simplex(Distribution):
    """Weights of at least ``floor`` that sum to ``total``, uniform over all such weights.

    K weights take K - 1 draws u, each of which breaks a share off what is left of a stick:

        share_i = left_i * (1 - (1 - u_i) ** (1 / (K - 1 - i))),   i = 0, ..., K - 2

    the inverse CDF of Beta(1, K - 1 - i), so that the shares are Dirichlet(1, ..., 1). Normalising
    K free weights instead would leave the search one direction in which nothing changes.

    Attributes:
        simplex: the names of the weights; the word heads: all of the data.
        total: the sum of the weights; by default their number, so that equal weights are 1.0.
        floor: the smallest weight.
    """

    simplex: Annotated[
        Literal["heads"] | Annotated[tuple[str, ...], Strict(False)],
        BeforeValidator(_are_heads_or_names),
    ]
    total: Annotated[float, Field(gt=0)] | None = None
    floor: Annotated[float, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        for problem in () if self.simplex == "heads" else self._crowding(len(self.simplex)):
            raise ValueError(problem)
        return self

    @override
    def draw(self, path: str, trial: Suggester, scope: str) -> Draw:
        *broken_off, last = self._names()
        shares: dict[str, float] = {}
        left = 1.0
        for after, name in zip(range(len(broken_off), 0, -1), broken_off, strict=True):
            u = trial.suggest_float(f"{scope}{path}.{name}.u", 0.0, 1.0)
            kept = left * (1 - u) ** (1 / after)
            shares[name] = left - kept
            left = kept
        shares[last] = left
        return {f"{path}.{name}": self._weight(share) for name, share in shares.items()}

    @override
    def baseline(self, path: str, config_value: ConfigValue, scope: str) -> Draw:
        names = self._names()
        weights = self.fitted(_positive([config_value(f"{path}.{name}") for name in names]))
        above = [weight - self.floor for weight in weights]
        us: Draw = {}
        for index, name in enumerate(names[:-1]):
            kept = sum(above[index + 1 :]) / (sum(above[index:]) or 1.0)
            us[f"{scope}{path}.{name}.u"] = 1 - kept ** (len(names) - 1 - index)
        return us

    def fitted(self, weights: Sequence[float]) -> list[float]:
        """Weights in the same proportions, with this sum; what is below the floor is raised to it.

        >>> Simplex(simplex=("a", "b", "c"), floor=0.5).fitted([1, 6, 4])
        [0.5, 1.5, 1.0]
        """
        raised: set[int] = set()
        while True:
            left = self._sum(len(weights)) - self.floor * len(raised)
            scale = left / sum(weight for i, weight in enumerate(weights) if i not in raised)
            fitted = [
                self.floor if i in raised else weight * scale for i, weight in enumerate(weights)
            ]
            low = {i for i, weight in enumerate(fitted) if weight < self.floor}
            if not low:
                return fitted
            raised |= low

    def refusals(self, path: str, given: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
        """What is wrong with the weights among values by path, each with the path it concerns."""
        weights = {path: given[path] for path in self.sets(path) if path in given}
        misfits = [(one, self.refusal(weight)) for one, weight in weights.items()]
        missing = [one for one in self.sets(path) if one not in weights]
        if any(why for _, why in misfits):
            yield from ((one, why) for one, why in misfits if why)
        elif weights and missing:
            yield path, f"has weights, but none for {', '.join(missing)}; write all or none"
        elif weights:
            yield from ((path, why) for why in self._wrong_sum(weights))

    @override
    def refusal(self, value: Value) -> str:
        if isinstance(value, bool | str | None) or value < self.floor:
            return f"should be a number of at least {self.floor:g}, not {written(value)}"
        return ""

    @override
    def sets(self, path: str) -> tuple[str, ...]:
        if self.simplex == "heads":
            return (path,)
        return tuple(f"{path}.{name}" for name in self.simplex)

    @override
    def examples(self, path: str) -> Iterator[tuple[Location, Draw]]:
        if self.simplex != "heads":
            yield from super().examples(path)

    @override
    def with_heads(self, heads: Sequence[str]) -> Distribution:
        names = tuple(heads) if self.simplex == "heads" else self.simplex
        return self.model_copy(update={"simplex": names})

    @override
    def misfits(self, where: str, path: str, heads: Sequence[str]) -> Iterator[ConfigError]:
        if self.simplex == "heads":
            for problem in self._crowding(len(heads)):
                yield ConfigError(f"{where}: {problem}")
        elif path == LOSS_WEIGHTS:
            for index, name in enumerate(self.simplex):
                if name not in heads:
                    yield no_such_head(f"{where}.simplex[{index}]", name, heads)

    def _names(self) -> tuple[str, ...]:
        if self.simplex == "heads":
            raise ConfigError(
                "simplex: heads stands for the data's heads; call resolve_heads first"
            )
        return self.simplex

    def _weight(self, share: float) -> float:
        count = len(self.simplex)
        weight = self.floor + (self._sum(count) - self.floor * count) * share
        return float(f"{weight:.12g}")  # equal weights are 1.0, not 1.0000000000000002

    def _sum(self, count: int) -> float:
        return float(count) if self.total is None else self.total

    def _wrong_sum(self, given: Mapping[str, Value]) -> Iterator[str]:
        weights = _positive(list(given.values()))
        total, found = self._sum(len(weights)), sum(float(weight or 0) for weight in given.values())
        if abs(found - total) > TOLERANCE * total:
            fitting = zip(given, self.fitted(weights), strict=True)
            remedy = ", ".join(f"{path}: {weight:.6g}" for path, weight in fitting)
            yield f"has weights that sum to {found:g}, not {total:g}; write {remedy}"

    def _crowding(self, count: int) -> Iterator[str]:
        total = self._sum(count)
        if count == 1:
            yield "shares nothing out, since the data have one head; take it out of search"
        elif self.floor * count >= total:
            yield (
                f"{count} weights of at least {self.floor:g} cannot sum to {total:g}; "
                f"write a floor below {total / count:g}"
            )


def _positive(values: Sequence[Value]) -> list[float]:
    """The values as weights; equal ones, if any is no number or all are 0."""
    weights = [float(v) for v in values if not isinstance(v, bool | str | None) and v >= 0]
    return weights if len(weights) == len(values) and any(weights) else [1.0] * len(values)
