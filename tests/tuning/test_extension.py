"""More trials on request: counted once, kept without being asked for again, never too many."""

import pytest

from mhray.errors import ConfigError
from mhray.tuning.extension import Extension


def test_an_extension_goes_on_with_the_larger_of_two_budgets(a_study):
    assert Extension(by=4, to=7).of(a_study()).budget.trials == 7
    assert Extension(by=4, to=7).of(a_study(budget={"trials": 9})).budget.trials == 9
    assert Extension().of(a_study()) == a_study()


@pytest.mark.parametrize(
    ("before", "by", "budget", "ended", "total"),
    [
        (Extension(), 5, 24, 24, 29),
        (Extension(), 5, 24, 3, 29),
        (Extension(5, 29), 5, 24, 26, 29),  # killed, and typed again
        (Extension(5, 29), 5, 24, 29, 34),
        (Extension(5, 29), 6, 24, 26, 35),
        (Extension(5, 29), 2, 40, 29, 42),
        (Extension(5, 29), 0, 24, 29, 29),
    ],
)
def test_trials_are_added_once_to_what_the_study_has_now(before, by, budget, ended, total):
    assert before.further(by, budget, ended).to == total


def test_what_the_file_says_beside_it_is_said(a_study):
    [line] = Extension(by=5, to=29).lines(24)
    assert line == "budget: 29 trials count, the last 5 by --extend; the file says 24"
    assert list(Extension(by=5, to=29).lines(29)) == []


def test_a_grid_has_no_more_trials_than_combinations(a_study):
    grid = a_study(search={"a": {"choice": [1, 2, 3]}}, sampler={"grid": {}})
    with pytest.raises(ConfigError) as refused:
        Extension(by=1, to=4).of(grid)
    message = "should be 3 or less, since the grid has 3 combinations"
    assert str(refused.value) == f"--extend: budget.trials {message}"
