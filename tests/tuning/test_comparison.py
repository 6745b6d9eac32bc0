import math
import statistics
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.training.selection import Selection
from mhray.tuning.comparison import Interval, difference, interval, rows_of

ACCURACIES = st.lists(st.floats(0, 1), min_size=2, max_size=9)
SEARCH = {"weighting": {"choice": ["equal", "dwa"]}, "lr": {"choice": [1, 2]}}


@pytest.fixture
def rows(a_study, a_record):
    """The rows of a grid from `(weighting, rate, seed, accuracy)`; no accuracy is a failure."""

    def make(*trials, **sections):
        records = [
            replace(
                a_record(number, *[accuracy] * (accuracy is not None)),
                state="FAIL" if accuracy is None else "COMPLETE",
                overrides=("data.seed=0", f"weighting={weighting}", f"lr={rate}", f"seed={seed}"),
                seed=seed,
            )
            for number, (weighting, rate, seed, accuracy) in enumerate(trials)
        ]
        sampler = {"grid": {"seeds": [0, 1], "tune": ["lr"]}}
        return rows_of(a_study(search=SEARCH, sampler=sampler, **sections), records)

    return make


def said(found):
    return [(*row.name, *row.tuned, [record.number for record in row.trials]) for row in found]


def test_each_row_has_the_rate_with_the_best_mean_over_its_seeds(rows):
    equal = [("equal", 1, 0, 0.9), ("equal", 1, 1, 0.1), ("equal", 2, 0, 0.6), ("equal", 2, 1, 0.5)]
    dwa = [("dwa", 1, 0, 0.5), ("dwa", 1, 1, 0.5), ("dwa", 2, 0, 0.5), ("dwa", 2, 1, 0.5)]
    assert said(rows(*equal, *dwa)) == [
        ("weighting=equal", "lr=2", [2, 3]),
        ("weighting=dwa", "lr=1", [4, 5]),
    ]


def test_a_metric_to_be_minimised_counts_the_other_way(rows):
    goal = {"minimize": "val/acc_mean"}
    found = rows(("dwa", 1, 0, 0.9), ("dwa", 2, 0, 0.4), select=goal)
    assert said(found) == [("weighting=dwa", "lr=2", [1])]


def test_a_rate_under_which_a_seed_failed_loses_to_one_under_which_all_are_complete(rows):
    found = rows(("dwa", 1, 0, 0.9), ("dwa", 1, 1, None), ("dwa", 2, 0, 0.4), ("dwa", 2, 1, 0.4))
    assert said(found) == [("weighting=dwa", "lr=2", [2, 3])]


def test_a_row_of_which_no_trial_is_complete_is_none(rows):
    assert rows(("dwa", 1, 0, None)) == []


def test_a_value_is_known_by_its_seed_and_only_where_it_was_measured(rows):
    [row] = rows(("dwa", 1, 3, 0.5), ("dwa", 1, 1, 0.25))
    tested = replace(
        row, trials=(replace(row.trials[0], test={"test/acc_mean": 0.75}), row.trials[1])
    )
    selection = Selection("val/acc_mean", "max")
    assert tested.values("val/acc_mean", selection) == {3: 0.5, 1: 0.25}
    assert tested.values("test/acc_mean", selection) == {3: 0.75}


# From a printed table of Student's t, two-sided, 95 %.
@pytest.mark.parametrize(("count", "quantile"), [(2, 12.706), (3, 4.303), (5, 2.776), (31, 2.042)])
def test_an_interval_is_as_wide_as_the_tables_of_students_t_say(count, quantile):
    values = [0.0] * (count - 1) + [1.0]
    half = quantile * statistics.stdev(values) / math.sqrt(count)
    assert interval(values).half == pytest.approx(half, rel=5e-4)


@given(ACCURACIES)
def test_an_interval_moves_with_its_values_and_scales_with_them(values):
    found, other = interval(values), interval([2 * value + 1 for value in values])
    assert other.mean == pytest.approx(2 * found.mean + 1)
    assert other.half == pytest.approx(2 * found.half, abs=1e-9)


def test_one_value_tells_nothing_apart():
    assert interval([0.25]) == Interval(0.25, math.inf)
    assert not interval([0.25]).is_off_zero


def test_a_difference_is_taken_seed_by_seed_over_the_seeds_of_both():
    found = difference({0: 0.5, 1: 0.7, 2: 0.9, 4: 0.0}, {2: 0.8, 1: 0.6, 0: 0.4, 3: 1.0})
    assert found.mean == pytest.approx(0.1)
    assert found.half == pytest.approx(0, abs=1e-9)
    assert found.is_off_zero
    assert difference({0: 0.5}, {1: 0.5}) is None
