import numpy as np
import pytest

from mhray.errors import ConfigError
from mhray.models.weighting import DWA
from mhray.models.weighting_contract import WeightingContract

HEADS = {"left": 4, "sum": 7}


class TestDWA(WeightingContract):
    def make(self, heads_config, loss_weights=None):
        return DWA(heads_config, loss_weights)


def by_equation_7(last, before, temperature):
    ratios = np.array(last) / np.array(before)
    powers = np.exp(ratios / temperature)
    return len(ratios) * powers / powers.sum()


@pytest.mark.parametrize("temperature", [0.5, 2.0, 10.0])
def test_weights_of_an_epoch_follow_the_two_before_it(temperature):
    weighting, seen = DWA(HEADS, temperature=temperature), []
    for means in ([2.0, 3.0], [1.0, 2.7], [0.9, 1.35]):
        seen.append(weighting.weights_in_use().tolist())
        weighting.end_epoch(means)
    assert seen[:2] == [[1.0, 1.0], [1.0, 1.0]]
    assert seen[2] == pytest.approx(by_equation_7([1.0, 2.7], [2.0, 3.0], temperature))
    expected = by_equation_7([0.9, 1.35], [1.0, 2.7], temperature)
    assert weighting.weights_in_use().tolist() == pytest.approx(expected)


def test_a_head_whose_loss_rose_by_a_half_outweighs_one_whose_loss_halved():
    weighting = DWA(HEADS)
    weighting.end_epoch([2.0, 2.0])
    weighting.end_epoch([3.0, 1.0])
    # 2 / (1 + exp(-(1.5 - 0.5) / 2)), and the rest
    assert weighting.weights_in_use().tolist() == pytest.approx([1.2449187, 0.7550813])


@pytest.mark.parametrize("temperature", [0, -1.0, float("inf"), float("nan"), "hot", None, True])
def test_a_temperature_is_a_number_above_zero(temperature):
    with pytest.raises(ConfigError) as error:
        DWA(HEADS, temperature=temperature)
    assert str(error.value) == (
        f"model.weighting.temperature: should be a number above 0, found {temperature!r}"
    )
