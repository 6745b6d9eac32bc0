"""Uncertainty: the weights are learned beside the network, as noise of the heads."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.models.weighting.weighting import Weighting


class Uncertainty(Weighting):
    """Homoscedastic uncertainty (Kendall et al. 2018): loss / v + ln(v) / 2, summed over the heads.

    v is a head's variance, in the form for classification of their eq. 10. Learned is ln v, which
    they advise for its numerical stability; it starts at 0, so that every weight 1/v starts at 1.
    The optimiser has it in a group that does not decay. The sum becomes negative where losses are
    small.
    """

    def __init__(
        self, heads_config: Mapping[str, int], loss_weights: Mapping[str, float] | None = None
    ) -> None:
        super().__init__(heads_config, loss_weights)
        self.log_variances = nn.Parameter(torch.zeros(self.number_of_heads))

    @override
    def combine(self, losses: Tensor) -> Tensor:
        return torch.addcmul(self.log_variances / 2, losses, (-self.log_variances).exp()).sum()

    @override
    def weights_in_use(self) -> Tensor:
        return (-self.log_variances.detach()).exp()
