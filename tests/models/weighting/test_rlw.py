import pytest
import torch

from mhray.models.weighting import RLW
from mhray.models.weighting_contract import WeightingContract

HEADS = {"left": 4, "right": 4, "sum": 7}


class TestRLW(WeightingContract):
    # Its weights are random.
    test_the_order_of_the_heads_is_without_meaning = None

    def make(self, heads_config, loss_weights=None):
        return RLW(heads_config, loss_weights)


def drawn(seed, epoch, steps=300):
    torch.manual_seed(seed)
    weighting = RLW(HEADS)
    weighting.begin_epoch(epoch)
    weights = []
    for _ in range(steps):
        weighting(torch.ones(len(HEADS)))
        weights.append(weighting.weights_in_use())
    return torch.stack(weights)


def test_weights_sum_to_the_number_of_heads_and_weigh_one_on_average():
    weights = drawn(seed=1, epoch=0, steps=3000)
    torch.testing.assert_close(weights.sum(1), torch.full((3000,), 3.0))
    torch.testing.assert_close(weights.mean(0), torch.ones(3), rtol=0, atol=0.06)


def test_logarithms_of_weights_are_normal_up_to_a_shift():
    differences = drawn(seed=1, epoch=0, steps=3000).log().diff(dim=1)
    assert differences.mean(0).tolist() == pytest.approx([0.0, 0.0], abs=0.1)
    assert differences.var(0).tolist() == pytest.approx([2.0, 2.0], abs=0.2)


def test_weights_are_a_function_of_seed_epoch_and_step():
    first = drawn(seed=1, epoch=2)
    assert torch.equal(first, drawn(seed=1, epoch=2))
    assert len(first.unique(dim=0)) == len(first)
    assert not torch.isclose(first, drawn(seed=1, epoch=3)).all(1).any()
    assert not torch.isclose(first, drawn(seed=2, epoch=2)).all(1).any()


def test_every_head_weighs_one_in_an_evaluation():
    weighting = RLW(HEADS)
    weighting(torch.ones(3))
    assert weighting.eval()(torch.tensor([1.0, 2.0, 4.0])).item() == 7.0
