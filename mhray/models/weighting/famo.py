"""FAMO: all losses are to fall at the same relative rate."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from mhray.models.tally import SMALLEST_LOSS
from mhray.models.weighting.weighting import WeightedSum, check_positive

_BETAS = (0.9, 0.999)  # of Adam, as are all further numbers here
_EPSILON = 1e-8


class FAMO(WeightedSum):
    """Fast adaptive multitask optimisation (Liu et al. 2023, algorithm 1).

    The weight of a head is K z / (loss c), with K heads, z = softmax(w) and c = Σ z / loss. From
    one step to the next, w descends along how far the logarithms of the losses fell: whichever fell
    less than the rest weighs more. w has an Adam of its own (`lr`, and `gamma` as its weight
    decay), with the numbers of the authors' code.

    Deviations: theirs sum to 1; the factor K makes them sum to the number of heads. The fall is
    that from a batch to the next one; on the same batch, as theirs is, it takes a second forward
    pass. What is luck of a batch is taken back at the next step. The smallest possible loss is
    taken to be 0.

    Raises:
        ConfigError: `lr` or `gamma` is not above 0.
    """

    logits: Tensor
    log_losses: Tensor
    mean: Tensor
    square: Tensor

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        lr: float = 0.025,
        gamma: float = 0.01,
    ) -> None:
        super().__init__(heads_config, loss_weights)
        check_positive("lr", lr)
        check_positive("gamma", gamma)
        self.lr = lr
        self.gamma = gamma
        self._observed = 0
        for name in ("logits", "log_losses", "mean", "square"):
            self.register_buffer(name, torch.zeros(self.number_of_heads))

    @override
    def observe(self, losses: Tensor) -> None:
        losses = losses + SMALLEST_LOSS
        log_losses = losses.log()
        if self._observed:
            self._descend(self.log_losses - log_losses)
        self._observed += 1
        self.log_losses = log_losses
        shares = self.logits.softmax(0) / losses
        self.weights = shares * (self.number_of_heads / shares.sum())

    def _descend(self, fall: Tensor) -> None:
        """One step of Adam (Kingma & Ba 2015) along the gradient of softmax(w) · fall."""
        shares = self.logits.softmax(0)
        gradient = shares * (fall - shares.dot(fall)) + self.gamma * self.logits
        first, second = (1 - beta**self._observed for beta in _BETAS)
        self.mean.lerp_(gradient, 1 - _BETAS[0])
        self.square.lerp_(gradient.square(), 1 - _BETAS[1])
        deviation = self.square.sqrt().div_(math.sqrt(second)).add_(_EPSILON)
        self.logits.addcdiv_(self.mean, deviation, value=-self.lr / first)

    @override
    def get_extra_state(self) -> int:
        return self._observed

    @override
    def set_extra_state(self, state: Any) -> None:
        self._observed = state
