"""RLW: the weights are random at each step."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from mhray.models.weighting.weighting import WeightedSum

_AT_ONCE = 256  # steps whose weights are drawn together, since one by one costs more


class RLW(WeightedSum):
    """Random loss weighting (Lin et al. 2021): K softmax(z) for K heads, z normal, at each step.

    Theirs sum to 1; the factor K makes each weigh 1 on average, as it does in an evaluation. The
    draws are a function of the seed that torch had when this was made, the epoch and the step: they
    are equal on all ranks and in a resumed run, and no other random number changes.
    """

    def __init__(
        self, heads_config: Mapping[str, int], loss_weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(heads_config, loss_weights, persistent=False)
        self._seed = torch.initial_seed()
        self._epoch = 0
        self._step = 0
        self._drawn = self.weights.unsqueeze(0)

    @override
    def combine(self, losses: Tensor) -> Tensor:
        return super().combine(losses) if self.training else losses.sum()

    @override
    def begin_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._step = 0

    @override
    def observe(self, losses: Tensor) -> None:
        block, row = divmod(self._step, _AT_ONCE)
        if row == 0:
            self._drawn = self._draw(block).to(losses)
        self._step += 1
        self.weights = self._drawn[row]

    def _draw(self, block: int) -> Tensor:
        """The weights of the steps of a block, (steps, heads)."""
        generator = np.random.default_rng([self._seed, self._epoch, block])
        normal = generator.standard_normal((_AT_ONCE, self.number_of_heads))
        return self.number_of_heads * torch.from_numpy(normal).softmax(1)
