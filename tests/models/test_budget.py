import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.errors import ConfigError
from mhray.models.budget import scaled, solve_width_scale

widths = st.integers(1, 200)
factors = st.floats(0.01, 20)
multiples = st.integers(1, 8)


@given(widths, factors, multiples)
def test_a_scaled_width_is_the_nearest_multiple_but_never_none(width, factor, multiple):
    found = scaled(width, factor, multiple)
    assert found % multiple == 0
    assert found >= multiple
    assert found == multiple or abs(found - width * factor) <= multiple / 2 + 1e-9


@given(widths, factors, factors, multiples)
def test_a_larger_factor_gives_no_smaller_width(width, one, other, multiple):
    low, high = sorted([one, other])
    assert scaled(width, low, multiple) <= scaled(width, high, multiple)


@given(st.integers(8, 64), st.integers(0, 200), st.integers(20_000, 200_000))
def test_no_other_width_is_closer_to_the_budget_by_a_percent(width, linear, budget):
    def count_at(factor):
        hidden = scaled(width, factor)
        return 12 * hidden**2 + linear * hidden

    miss = abs(count_at(solve_width_scale(count_at, budget)) - budget)
    closest = min(abs(count_at(hidden / width) - budget) for hidden in range(1, 200))
    assert miss <= closest + 0.01 * budget


@pytest.mark.parametrize(
    ("budget", "nearest"),
    [(1, "4800"), (10_000, "4800 or 19200"), (10**9, "103723200")],
)
def test_a_budget_between_two_sizes_is_refused_with_both(budget, nearest):
    def count_at(factor):
        return 12 * scaled(20, factor, multiple=20) ** 2

    with pytest.raises(ConfigError) as error:
        solve_width_scale(count_at, budget)
    assert str(error.value) == (
        f"model.net.parameter_budget: {budget}, but no width has as many parameters within 10%; "
        f"write {nearest}"
    )
