"""STCH: the head that is worst, next to where it stood after a warm-up, is trained most."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from mhray.errors import ConfigError
from mhray.models.tally import SMALLEST_LOSS
from mhray.models.weighting.weighting import Weighting, check_positive


class STCH(Weighting):
    """Smooth Tchebycheff scalarisation (Lin et al. 2024): K μ logsumexp(ln(loss / n) / μ).

    The form for training networks of the authors' code and of LibMTL, with equal preferences for
    the K heads. For `warm_up_epochs` epochs Σ ln(loss) is minimised; n is each head's mean training
    loss in the last of them. With `mu` towards 0 only the worst head is trained.

    Deviations: one epoch of warm-up, where LibMTL has five. n is a mean over the samples of all
    ranks, not over batches.

    Raises:
        ConfigError: `mu` is not above 0, or `warm_up_epochs` no whole number from 1 on.
    """

    reference: Tensor
    weights: Tensor

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        mu: float = 1.0,
        warm_up_epochs: int = 1,
    ) -> None:
        super().__init__(heads_config, loss_weights)
        check_positive("mu", mu)
        if type(warm_up_epochs) is not int or warm_up_epochs < 1:
            raise ConfigError(
                "model.weighting.warm_up_epochs: should be a whole number, 1 or more, found "
                f"{warm_up_epochs!r}"
            )
        self.mu = mu
        self.warm_up_epochs = warm_up_epochs
        self._epochs = 0
        self.register_buffer("reference", torch.ones(self.number_of_heads))
        self.register_buffer("weights", torch.ones(self.number_of_heads), persistent=False)

    @property
    def is_warming_up(self) -> bool:
        """Whether the reference losses are still to be found."""
        return self._epochs < self.warm_up_epochs

    @override
    def combine(self, losses: Tensor) -> Tensor:
        if self.is_warming_up:
            return (losses + SMALLEST_LOSS).log().sum()
        return self.number_of_heads * self.mu * self._scaled(losses).logsumexp(0)

    @override
    def weights_in_use(self) -> Tensor:
        return self.weights

    @override
    def observe(self, losses: Tensor) -> None:
        inverse = (losses + SMALLEST_LOSS).reciprocal()
        shares = self.number_of_heads * self._scaled(losses).softmax(0)
        self.weights = inverse if self.is_warming_up else shares * inverse

    def _scaled(self, losses: Tensor) -> Tensor:
        """ln(loss / n) / μ."""
        return ((losses + SMALLEST_LOSS) / self.reference).log() / self.mu

    @override
    def end_epoch(self, losses: Sequence[float]) -> None:
        if self.is_warming_up:
            self.reference = self.reference.new_tensor(losses) + SMALLEST_LOSS
        self._epochs += 1

    @override
    def get_extra_state(self) -> int:
        return self._epochs

    @override
    def set_extra_state(self, state: Any) -> None:
        self._epochs = state
