"""What goes with what over the trials of a study, with intervals, and without a model of it.

Trials are no experiment that somebody designed: a sampler drew them, each after the ones before. So
this describes the trials of a study; it does not prove what would happen in others.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from mhray.tuning.comparison import Interval

LEVEL = 0.05  # the probability that any interval of one family misses
LEAST = 3  # trials in a quarter, or nothing is said
_FISHER = 4  # a correlation of fewer has no interval


@dataclass(frozen=True)
class Correlation:
    """How two things go together, from -1 to 1, with its interval."""

    value: float
    low: float
    high: float

    @property
    def is_negative(self) -> bool:
        """Whether more of one goes with less of the other, beyond chance."""
        return self.high < 0


def rank_correlation(first: ArrayLike, second: ArrayLike, family: int = 1) -> Correlation | None:
    """Spearman's, with the interval of Bonett & Wright 2000; None where there is none to be had.

    ``family`` is how many intervals are to hold together (Bonferroni).

    >>> rank_correlation([1, 2, 3, 4, 5], [9, 7, 5, 3, 1]).value
    -1.0
    """
    ranks = np.stack([_ranks(np.asarray(one, dtype=float)) for one in (first, second)])
    count = ranks.shape[1]
    if count < _FISHER or not np.ptp(ranks, axis=1).all():
        return None
    both = ranks - ranks.mean(axis=1, keepdims=True)
    value = float(both[0] @ both[1] / np.sqrt(both[0] @ both[0] * (both[1] @ both[1])))
    error = math.sqrt((1 + value**2 / 2) / (count - 3))
    reach = float(ndtri(1 - LEVEL / 2 / family)) * error
    centre = math.atanh(min(max(value, -0.999999), 0.999999))
    return Correlation(value, math.tanh(centre - reach), math.tanh(centre + reach))


@dataclass(frozen=True)
class Quarters:
    """The quarter of trials with the least of something, and the quarter with the most.

    Attributes:
        low: the mean of it in the first.
        high: the mean of it in the second.
        lowest: which trials are in the first.
        highest: which are in the second.
    """

    low: float
    high: float
    lowest: NDArray[np.intp]
    highest: NDArray[np.intp]

    def change(self, values: ArrayLike, family: int = 1) -> Interval:
        """How much more the second has than the first on average, with Welch's interval."""
        known = np.asarray(values, dtype=float)
        low, high = known[self.lowest], known[self.highest]
        parts = [one.var(ddof=1) / len(one) for one in (low, high)]
        error = math.sqrt(sum(parts))
        spread = sum(part**2 / (len(low) - 1) for part in parts)
        freedom = sum(parts) ** 2 / spread if spread else math.inf
        reach = float(stdtrit(min(freedom, 1e6), 1 - LEVEL / 2 / family))
        return Interval(float(high.mean() - low.mean()), reach * error)


def quarters_of(amounts: Sequence[float]) -> Quarters | None:
    """The outer quarters of trials by an amount; None if they hold too few, or no difference."""
    known = np.asarray(amounts, dtype=float)
    count = len(known) // 4
    if count < LEAST:
        return None
    order = np.argsort(known, kind="stable")
    lowest, highest = order[:count], order[-count:]
    low, high = float(known[lowest].mean()), float(known[highest].mean())
    return Quarters(low, high, lowest, highest) if high > low else None


def running_mean(x: ArrayLike, y: ArrayLike, windows: int = 8) -> tuple[list[float], list[float]]:
    """Means of parts of as many points each, in the order of ``x``: the course without noise."""
    places, heights = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    order = np.argsort(places, kind="stable")
    parts = np.array_split(order, min(windows, max(len(order) // LEAST, 1)))
    return (
        [float(places[part].mean()) for part in parts],
        [float(heights[part].mean()) for part in parts],
    )


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 1; equals share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    shared: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[place.reshape(-1)]
    return shared
