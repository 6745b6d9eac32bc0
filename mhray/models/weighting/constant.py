"""Weights that are known before the first step: typed, equal, or made of the classes.

None is in a checkpoint, since a resumed run has its own overrides and the same heads.
"""

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch

from mhray.errors import ConfigError, no_such_head
from mhray.models.weighting.weighting import WeightedSum


class _Constant(WeightedSum):
    """A sum whose weights never change.

    With `normalise` they are scaled to sum to the number of heads, as equal weights do. Only then
    does a learning rate mean the same under each.

    Raises:
        ConfigError: `normalise` is neither true nor false.
    """

    is_constant: ClassVar[bool] = True

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None,
        weights: Sequence[float],
        *,
        normalise: bool = False,
    ) -> None:
        super().__init__(heads_config, loss_weights, persistent=False)
        if type(normalise) is not bool:
            raise ConfigError(
                f"model.weighting.normalise: should be true or false, found {normalise!r}"
            )
        factor = len(weights) / sum(weights) if normalise else 1.0
        self.weights.copy_(torch.tensor([weight * factor for weight in weights]))


class FixedWeighting(_Constant):
    """The weighted sum of the losses, with the weights as they were typed; left out means 1.0.

    Raises:
        HeadMismatchError: a weight is for a head that the data lack.
        ConfigError: a weight is no number, negative, NaN or infinite; or all of them are 0.
    """

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        normalise: bool = False,
    ) -> None:
        weights = dict(loss_weights or {})
        for name, weight in weights.items():
            where = f"model.loss_weights.{name}"
            if name not in heads_config:
                raise no_such_head(where, name, heads_config)
            if type(weight) not in (int, float) or not 0 <= weight < math.inf:
                raise ConfigError(f"{where}: should be a number of at least 0, found {weight!r}")
        typed = [float(weights.get(name, 1.0)) for name in heads_config]
        if not any(typed):
            raise ConfigError(
                "model.loss_weights: every head weighs 0, so nothing would be learned; write a "
                f"number above 0 for one of the heads: {', '.join(heads_config)}"
            )
        super().__init__(heads_config, None, typed, normalise=normalise)


class EqualWeighting(_Constant):
    """The plain sum of the losses: what every other weighting has to beat.

    With the learning rate searched for each alike, few do (Xin et al. 2022, Kurin et al. 2022).
    """

    def __init__(
        self, heads_config: Mapping[str, int], loss_weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(heads_config, loss_weights, [1.0 for _ in heads_config])


class InverseLogClasses(_Constant):
    """1/ln C for a head of C classes: whoever guesses has a loss of 1 on every head.

    Raises:
        ConfigError: a head has one class, whose logarithm is 0.
    """

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        normalise: bool = False,
    ) -> None:
        for name, classes in heads_config.items():
            if classes == 1:
                raise ConfigError(
                    f"model.weighting: InverseLogClasses divides by ln C, which is 0 for {name}, a "
                    "head of one class; write another weighting, such as weighting=equal"
                )
        weights = [1 / math.log(classes) for classes in heads_config.values()]
        super().__init__(heads_config, loss_weights, weights, normalise=normalise)


class ClassCount(_Constant):
    """C for a head of C classes: finer heads weigh more."""

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        normalise: bool = False,
    ) -> None:
        weights = [float(classes) for classes in heads_config.values()]
        super().__init__(heads_config, loss_weights, weights, normalise=normalise)
