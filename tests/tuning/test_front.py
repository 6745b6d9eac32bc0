"""Dominance, fronts and hypervolumes are exact: beside brute force, Optuna's, and known tables."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from optuna._hypervolume import compute_hypervolume

from mhray.tuning.front import dominates, hypervolume, on_front

HIGHEST = 4


@st.composite
def grids(draw):
    """A few points with whole coordinates, so that many are equal or share some."""
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 4)))
    return draw(arrays(int, shape, elements=st.integers(0, HIGHEST)))


def boxes_below(points):
    """How many unit boxes lie below some of the points, counted one by one."""
    corners = product(range(HIGHEST), repeat=points.shape[1])
    return sum(bool((points > corner).all(axis=1).any()) for corner in corners)


@given(grids())
def test_no_point_of_the_front_dominates_another_of_it(points):
    front = points[on_front(points)]
    assert not any(dominates(one, other) for one in front for other in front)


@given(grids())
def test_each_point_off_the_front_is_dominated_by_one_on_it(points):
    on = on_front(points)
    assert on.any()
    assert all(any(dominates(one, other) for one in points[on]) for other in points[~on])


@given(grids())
def test_the_hypervolume_is_the_number_of_boxes_below_the_points(points):
    assert hypervolume(points, np.zeros(points.shape[1])) == boxes_below(points)


@given(grids(), st.data())
def test_a_further_point_adds_to_the_hypervolume_unless_another_one_reaches_it(points, data):
    further = data.draw(arrays(int, points.shape[1], elements=st.integers(1, HIGHEST)))
    reference = np.zeros(points.shape[1])
    before, after = (hypervolume(each, reference) for each in (points, [*points, further]))
    is_reached = (points >= further).all(axis=1).any()
    assert after == before if is_reached else after > before


@given(arrays(float, st.tuples(st.integers(1, 9), st.integers(1, 5)), elements=st.floats(0, 1)))
def test_the_hypervolume_is_optunas(points):
    reference = np.zeros(points.shape[1])
    assert hypervolume(points, reference) == pytest.approx(compute_hypervolume(-points, reference))


def test_what_lies_below_the_reference_counts_as_nothing():
    assert hypervolume([[3, 1], [1, 9]], reference=[2, 0]) == 1.0
    assert hypervolume(np.empty((0, 2)), reference=[0, 0]) == 0.0


def test_equal_points_are_on_the_front_together_or_not_at_all():
    assert on_front([[1, 2], [2, 1], [1, 2], [1, 1], [1, 1]]).tolist() == [1, 1, 1, 0, 0]


def test_a_sum_that_rounds_puts_no_point_on_the_front():
    # Both sums round to 1e16, and only the first point is as good as none.
    assert on_front([[1e16, 0.25], [1e16, 0.5]]).tolist() == [False, True]
