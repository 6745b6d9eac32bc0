"""What every weighting is, and what the training loop tells it.

The loop knows no kind of weighting. It hands over the losses of each batch, and the number of each
epoch that begins and the mean losses of each that ends; what a weighting makes of that is its
state, which travels in the checkpoint. A sum is never changed by being evaluated. All losses are
over the samples of all ranks, so no weighting knows how many there are.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.errors import ConfigError

_PREFIX = "weighting."  # of its state in a checkpoint


class Weighting(nn.Module, ABC):
    """The heads' losses (heads,), in the order of `heads_config`, to one number to minimise.

    Attributes:
        is_constant: whether the weights of a run never change, so that its weighted losses may be
            compared with each other.

    Raises:
        ConfigError: there are loss weights, which only a FixedWeighting reads.
    """

    is_constant: ClassVar[bool] = False

    def __init__(
        self, heads_config: Mapping[str, int], loss_weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__()
        if loss_weights:
            raise ConfigError(
                f"model.loss_weights: model.weighting is {type(self).__name__}, which sets the "
                "weights itself; take them out, or write weighting=fixed"
            )
        self.number_of_heads = len(heads_config)

    @abstractmethod
    def combine(self, losses: Tensor) -> Tensor:
        """The scalar whose gradient trains the network; no state changes. Losses: (heads,)."""

    @abstractmethod
    def weights_in_use(self) -> Tensor:
        """The factor of each head's gradient in the last training step, (heads,), detached."""

    def observe(self, losses: Tensor) -> None:
        """Learns the losses (heads,), detached, of a training step before they are combined."""

    def begin_epoch(self, epoch: int) -> None:
        """Learns that an epoch of training begins; the first is 0."""

    def end_epoch(self, losses: Sequence[float]) -> None:
        """Learns each head's mean loss over the samples that all ranks trained on in an epoch."""

    @override
    def forward(self, losses: Tensor) -> Tensor:
        if self.training:
            self.observe(losses.detach())
        return self.combine(losses)

    def check_saved(self, state: Iterable[str]) -> None:
        """Refuse a checkpoint whose weighting keeps other state than this one.

        Raises:
            ConfigError: the names of the module's state are not those of this weighting.
        """
        saved = {name.removeprefix(_PREFIX) for name in state if name.startswith(_PREFIX)}
        if saved != set(self.state_dict()):
            raise ConfigError(
                f"model.weighting: the checkpoint's is no {type(self).__name__}; write the "
                "weighting that it was trained with"
            )


class WeightedSum(Weighting):
    """The sum of the losses, each times its weight; a subclass says when the weights change."""

    weights: Tensor

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        persistent: bool = True,
    ) -> None:
        super().__init__(heads_config, loss_weights)
        equal = torch.ones(self.number_of_heads)
        self.register_buffer("weights", equal, persistent=persistent)

    @override
    def combine(self, losses: Tensor) -> Tensor:
        return (losses * self.weights).sum()

    @override
    def weights_in_use(self) -> Tensor:
        return self.weights


def parameter_groups(module: nn.Module) -> list[nn.Parameter] | list[dict[str, Any]]:
    """A module's parameters for its optimiser; what a weighting learns does not decay.

    Decay would pull a learned weight towards the one that it started from.
    """
    weightings = [part for part in module.modules() if isinstance(part, Weighting)]
    learned = {id(parameter): parameter for part in weightings for parameter in part.parameters()}
    others = [parameter for parameter in module.parameters() if id(parameter) not in learned]
    if not learned:
        return others
    groups: list[dict[str, Any]] = [{"params": others}]
    return [*groups, {"params": [*learned.values()], "weight_decay": 0.0}]


def check_positive(name: str, value: Any) -> None:
    """Raises ConfigError if an argument of a weighting is no finite number above 0."""
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise ConfigError(f"model.weighting.{name}: should be a number above 0, found {value!r}")
