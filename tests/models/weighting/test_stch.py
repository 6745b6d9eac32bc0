import math

import numpy as np
import pytest
import torch

from mhray.errors import ConfigError
from mhray.models.weighting import STCH
from mhray.models.weighting_contract import WeightingContract

HEADS = {"left": 4, "sum": 7}


class TestSTCH(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return STCH(heads_config, loss_weights)


def smooth_maximum(losses, reference, mu):
    scaled = np.log(np.array(losses) / np.array(reference)) / mu
    return len(scaled) * mu * np.log(np.exp(scaled).sum())


def after_warm_up(reference, mu):
    weighting = STCH(HEADS, mu=mu)
    weighting(torch.ones(2))
    weighting.end_epoch(reference)
    return weighting


@pytest.mark.parametrize("mu", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("losses", [[1.0, 2.0], [0.1, 3.0]])
def test_after_the_warm_up_a_smooth_maximum_is_minimised(losses, mu):
    value = after_warm_up([2.0, 4.0], mu)(torch.tensor(losses)).item()
    assert value == pytest.approx(smooth_maximum(losses, [2.0, 4.0], mu), rel=1e-5)


def test_two_heads_that_halved_are_as_bad_as_each_other():
    weighting = after_warm_up([2.0, 4.0], mu=0.5)
    # 2 μ (ln(1/2) / μ + ln 2); the weights are K softmax / loss, with a softmax of 1/2 each.
    assert weighting(torch.tensor([1.0, 2.0])).item() == pytest.approx(-math.log(2))
    assert weighting.weights_in_use().tolist() == pytest.approx([1.0, 0.5])


def test_a_small_mu_trains_the_worst_head_alone():
    weighting = after_warm_up([2.0, 4.0], mu=0.01)
    weighting(torch.tensor([1.0, 3.0]))
    assert weighting.weights_in_use().tolist() == pytest.approx([0.0, 2 / 3], abs=1e-6)


def test_the_logarithms_are_minimised_until_the_warm_up_has_ended():
    weighting, losses = STCH(HEADS, warm_up_epochs=2), torch.tensor([2.0, 4.0])
    for means in ([9.0, 9.0], [3.0, 5.0]):
        assert weighting(losses).item() == pytest.approx(math.log(8))
        assert weighting.weights_in_use().tolist() == pytest.approx([0.5, 0.25])
        weighting.end_epoch(means)
    weighting.end_epoch([1.0, 1.0])
    assert weighting(losses).item() == pytest.approx(smooth_maximum([2, 4], [3, 5], 1.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mu": 0.0}, "mu: should be a number above 0, found 0.0"),
        ({"warm_up_epochs": 0}, "warm_up_epochs: should be a whole number, 1 or more, found 0"),
        ({"warm_up_epochs": 1.5}, "warm_up_epochs: should be a whole number, 1 or more, found 1.5"),
    ],
)
def test_a_setting_out_of_range_is_refused(settings, message):
    with pytest.raises(ConfigError) as error:
        STCH(HEADS, **settings)
    assert str(error.value) == f"model.weighting.{message}"
