import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mhray.tuning.page.effects import quarters_of, rank_correlation, running_mean

numbers = st.lists(st.integers(-20, 20), min_size=5, max_size=30)


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), min_size=5, max_size=40))
def test_the_rank_correlation_is_spearmans(pairs):
    first, second = map(list, zip(*pairs, strict=True))
    found = rank_correlation(first, second)
    if found is None:
        assert len(set(first)) == 1 or len(set(second)) == 1
        return
    assert found.value == pytest.approx(scipy.stats.spearmanr(first, second).statistic)
    assert -1 <= found.low <= found.high <= 1


def test_the_interval_of_a_correlation_misses_it_about_once_in_twenty():
    draws = np.random.default_rng(0).normal(size=(400, 2, 40))
    found = [rank_correlation(*draw) for draw in draws]
    missed = sum(not one.low <= 0 <= one.high for one in found)
    assert 8 <= missed <= 34


def test_intervals_that_hold_together_are_wider():
    one, many = (rank_correlation(range(9), [3, 1, 4, 1, 5, 9, 2, 6, 5], n) for n in (1, 10))
    assert many.low < one.low < one.high < many.high


def test_quarters_differ_by_welchs_interval():
    luck = np.random.default_rng(1)
    amounts, values = luck.random(40), luck.random(40)
    order = np.argsort(amounts)
    expected = scipy.stats.ttest_ind(values[order[-10:]], values[order[:10]], equal_var=False)
    found = quarters_of(amounts).change(values)
    low, high = expected.confidence_interval(0.95)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))


@pytest.mark.parametrize("amounts", [range(11), [1.0] * 40, []])
def test_too_few_trials_or_no_difference_make_no_quarters(amounts):
    assert quarters_of(list(amounts)) is None


@given(numbers)
def test_a_running_mean_stays_within_what_it_averages(values):
    x, y = running_mean(range(len(values)), values)
    assert x == sorted(x)
    assert all(min(values) - 1e-9 <= one <= max(values) + 1e-9 for one in y)
