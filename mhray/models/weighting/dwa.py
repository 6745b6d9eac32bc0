"""DWA: a head whose loss falls slowly weighs more in the next epoch."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from typing_extensions import override

from mhray.models.weighting.weighting import WeightedSum, check_positive


class DWA(WeightedSum):
    """Dynamic weight average (Liu et al. 2019, eq. 7): K softmax(r / T) for K heads.

    r is a head's mean training loss in the last epoch over that in the epoch before, 1 in the
    first two epochs. Theirs are means over batches, ours over the samples of all ranks.

    Raises:
        ConfigError: `temperature`, their T, is not above 0.
    """

    last_losses: Tensor

    def __init__(
        self,
        heads_config: Mapping[str, int],
        loss_weights: Mapping[str, float] | None = None,
        *,
        temperature: float = 2.0,
    ) -> None:
        super().__init__(heads_config, loss_weights)
        check_positive("temperature", temperature)
        self.temperature = temperature
        # No epoch has ended yet, so no ratio is known.
        self.register_buffer("last_losses", torch.full((self.number_of_heads,), math.nan))

    @override
    def end_epoch(self, losses: Sequence[float]) -> None:
        now = self.last_losses.new_tensor(losses)
        ratios = (now / self.last_losses).nan_to_num(nan=1.0)
        self.weights = self.number_of_heads * (ratios / self.temperature).softmax(0)
        self.last_losses = now
