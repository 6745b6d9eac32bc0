import numpy as np
import pytest
import torch

from mhray.errors import ConfigError
from mhray.models.weighting import FAMO
from mhray.models.weighting_contract import WeightingContract

HEADS = {"left": 4, "right": 4, "sum": 7}
STEPS = [[2.0, 1.0, 4.0], [1.8, 1.0, 2.0], [1.9, 0.7, 1.9], [1.0, 0.9, 1.8], [1.1, 0.2, 1.7]]


class TestFAMO(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return FAMO(heads_config, loss_weights)


def by_algorithm_1(steps, lr, gamma):
    """Algorithm 1 in numpy, with torch's Adam for w; the weights of each step."""
    w = torch.zeros(len(HEADS), requires_grad=True)
    adam = torch.optim.Adam([w], lr=lr, weight_decay=gamma)
    for index, losses in enumerate(np.array(steps)):
        if index:
            shares = np.exp(w.detach().numpy()) / np.exp(w.detach().numpy()).sum()
            jacobian = np.diag(shares) - np.outer(shares, shares)
            w.grad = torch.tensor(jacobian @ np.log(steps[index - 1] / losses)).float()
            adam.step()
        shares = np.exp(w.detach().numpy()) / np.exp(w.detach().numpy()).sum()
        yield len(HEADS) * (shares / losses) / (shares / losses).sum()


@pytest.mark.parametrize(("lr", "gamma"), [(0.025, 0.01), (0.3, 0.001), (0.1, 1.0)])
def test_weights_follow_algorithm_1(lr, gamma):
    weighting = FAMO(HEADS, lr=lr, gamma=gamma)
    for losses, expected in zip(STEPS, by_algorithm_1(STEPS, lr, gamma), strict=True):
        weighting(torch.tensor(losses))
        assert weighting.weights_in_use().tolist() == pytest.approx(expected, rel=1e-4)


def test_the_first_weights_are_the_inverse_losses_that_sum_to_the_number_of_heads():
    weighting = FAMO(HEADS)
    # 1/2, 1 and 1/4, times 3 / 1.75; each head then adds as much to the sum.
    assert weighting(torch.tensor(STEPS[0])).item() == pytest.approx(9 / 1.75)
    assert weighting.weights_in_use().tolist() == pytest.approx([6 / 7, 12 / 7, 3 / 7])


def test_the_head_whose_loss_falls_least_gains_weight():
    weighting = FAMO(HEADS)
    for fallen in (1.0, 0.9, 0.8, 0.7):
        weighting(torch.tensor([fallen, fallen, 1.0]))
    left, right, total = (weighting.weights_in_use() * torch.tensor([0.7, 0.7, 1.0])).tolist()
    assert left == pytest.approx(right)
    assert total > 1.05 * left


@pytest.mark.parametrize("name", ["lr", "gamma"])
def test_its_numbers_are_above_zero(name):
    with pytest.raises(ConfigError) as error:
        FAMO(HEADS, **{name: -1.0})
    assert str(error.value) == f"model.weighting.{name}: should be a number above 0, found -1.0"
