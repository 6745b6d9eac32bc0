import math

import pytest
import torch

from mhray.models.weighting import EqualWeighting, Uncertainty, parameter_groups
from mhray.models.weighting_contract import WeightingContract

HEADS = {"left": 4, "sum": 7}


class TestUncertainty(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return Uncertainty(heads_config, loss_weights)


@pytest.mark.parametrize(
    ("deviations", "losses", "value", "weights"),
    [
        ((1.0, 1.0), (2.0, 3.0), 5.0, (1.0, 1.0)),
        ((2.0, 0.5), (2.0, 3.0), 2.0 / 4 + math.log(2) + 3.0 * 4 - math.log(2), (0.25, 4.0)),
        ((3.0, 1.0), (0.9, 0.0), 0.1 + math.log(3), (1 / 9, 1.0)),
    ],
)
def test_the_sum_is_that_of_equation_10(deviations, losses, value, weights):
    weighting = Uncertainty(HEADS)
    with torch.no_grad():
        weighting.log_variances.copy_(2 * torch.tensor(deviations).log())
    assert weighting(torch.tensor(losses)).item() == pytest.approx(value, rel=1e-6)
    torch.testing.assert_close(weighting.weights_in_use(), torch.tensor(weights))


def test_the_weight_that_is_learned_is_the_inverse_of_twice_the_loss():
    weighting = Uncertainty(HEADS)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        weighting(torch.tensor([0.25, 4.0])).backward()
        optimizer.step()
    # The derivative of loss / v + ln(v) / 2 is 0 at v = 2 loss.
    torch.testing.assert_close(weighting.weights_in_use(), torch.tensor([2.0, 0.125]))


def test_what_is_learned_does_not_decay():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), Uncertainty(HEADS))
    network, learned = torch.optim.AdamW(parameter_groups(module), weight_decay=0.1).param_groups
    assert (network["weight_decay"], learned["weight_decay"]) == (0.1, 0.0)
    assert network["params"] == list(module[0].parameters())
    assert learned["params"] == list(module[1].parameters())


def test_a_weighting_that_learns_nothing_leaves_the_parameters_as_they_are():
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), EqualWeighting(HEADS))
    assert parameter_groups(module) == list(module.parameters())
