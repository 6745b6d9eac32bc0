"""How the heads' losses become one number.

A weighting is made once the heads are known, from `heads_config` and the loss weights that the
user wrote. To add one: subclass `Weighting`, and name the class in `configs/weighting/`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.errors import ConfigError, no_such_head


class Weighting(nn.Module, ABC):
    """The heads' losses (heads,), in the order of `heads_config`, to one number to minimise."""

    @abstractmethod
    def combine(self, losses: Tensor) -> Tensor:
        """The scalar whose gradient trains the network. Losses: (heads,)."""

    @abstractmethod
    def weights_in_use(self) -> Tensor:
        """The factor of each head's loss in the sum, (heads,), detached."""

    @override
    def forward(self, losses: Tensor) -> Tensor:
        return self.combine(losses)


class FixedWeighting(Weighting):
    """The weighted sum of the losses, with the weights as they were typed; left out means 1.0.

    Raises:
        HeadMismatchError: a weight is for a head that the data lack.
        ConfigError: a weight is no number, negative, NaN or infinite; or all of them are 0.
    """

    weights: Tensor

    def __init__(
        self, heads_config: Mapping[str, int], loss_weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
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
        # Not in the checkpoint: a resumed run uses the weights of its own overrides.
        self.register_buffer("weights", torch.tensor(typed), persistent=False)

    @override
    def combine(self, losses: Tensor) -> Tensor:
        return (losses * self.weights).sum()

    @override
    def weights_in_use(self) -> Tensor:
        return self.weights
