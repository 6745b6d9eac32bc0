import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhray.models.tally import Tally

HEADS = ["left", "sum"]
batch = st.tuples(
    st.integers(1, 9), st.lists(st.floats(0, 8, width=16), min_size=2, max_size=2), st.floats(0, 1)
)


def add(tally: Tally, size: int, losses: list[float], right: float) -> None:
    losses = torch.tensor(losses)
    tally.add(losses.sum(), losses, torch.tensor([round(right * size), size]), size)


@given(st.lists(batch, min_size=1, max_size=5))
def test_means_are_over_samples_and_not_over_batches(batches):
    tally = Tally(HEADS, torch.device("cpu"))
    for each in batches:
        add(tally, *each)
    metrics = tally.metrics(lambda sums: sums)
    samples = sum(size for size, _, _ in batches)
    left_loss = sum(size * losses[0] for size, losses, _ in batches) / samples
    right = sum(round(share * size) for size, _, share in batches)
    assert metrics.head_losses["left"] == pytest.approx(left_loss, abs=1e-4)
    assert metrics.head_accs == {"left": right / samples, "sum": 1.0}
    assert metrics.loss == pytest.approx(sum(metrics.head_losses.values()), abs=1e-4)
    assert metrics.acc_spread == pytest.approx(1.0 - right / samples)


def test_ranks_are_summed_before_the_division():
    tally = Tally(HEADS, torch.device("cpu"))
    add(tally, 4, [1.0, 2.0], 0.5)
    other = torch.tensor([2, 2 * 4.0, 2 * 5.0, 2 * 9.0, 1, 1, 1, 0, 2])
    metrics = tally.metrics(lambda sums: sums + other)
    assert metrics.head_losses == {"left": 2.0, "sum": 3.0}
    assert metrics.head_accs == {"left": pytest.approx(1 / 3), "sum": 1.0}
    assert metrics.loss == 5.0


def test_an_epoch_without_samples_has_no_metrics():
    assert Tally(HEADS, torch.device("cpu")).metrics(lambda sums: sums) is None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_loss_that_was_not_finite_first_is_named(value):
    tally = Tally(HEADS, torch.device("cpu"))
    add(tally, 4, [1.0, value], 0.5)
    add(tally, 4, [value, value], 0.5)
    assert tally.metrics(lambda sums: sums).diverged == "sum_loss"


def test_a_sum_that_overflows_is_named_when_no_head_is_to_blame():
    tally = Tally(HEADS, torch.device("cpu"))
    tally.add(torch.tensor(math.inf), torch.ones(2), torch.ones(2), 1)
    assert tally.metrics(lambda sums: sums).diverged == "loss"
