"""Which of several trials no other one beats on every objective, and how much room they take.

Points are rows of an array, a column for each objective; more is better in every column. All is
exact up to the rounding of the sums. The hypervolume is our own, and not Optuna's: that one is
private there, and this module stays free of Optuna.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points: TypeAlias = NDArray[np.float64]
_PLANE = 2


def dominates(point: ArrayLike, other: ArrayLike) -> bool:
    """Whether a point is as good as another one everywhere, and better somewhere.

    >>> dominates([2, 3], [2, 2]), dominates([2, 3], [2, 3]), dominates([2, 3], [3, 0])
    (True, False, False)
    """
    better, worse = np.greater(point, other), np.less(point, other)
    return bool(better.any() and not worse.any())


def on_front(points: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other one dominates; of equal points all or none.

    >>> on_front([[2, 1], [1, 2], [1, 1], [2, 1]]).tolist()
    [True, True, False, True]
    """
    rows: Points = np.asarray(points, dtype=float)
    unique, place = np.unique(rows, axis=0, return_inverse=True)
    kept: NDArray[np.bool_] = _on_front(unique[::-1])[::-1]
    return kept[place.reshape(-1)]


def hypervolume(points: ArrayLike, reference: ArrayLike) -> float:
    """The volume of what lies above the reference and below some point.

    While et al. 2012, "A fast way of calculating exact hypervolumes". What lies below the
    reference in some column counts as nothing.

    >>> hypervolume([[3, 1], [1, 2], [2, 0.5]], reference=[0, 0])
    4.0
    """
    above = np.asarray(points, dtype=float) - np.asarray(reference, dtype=float)
    return _volume(np.maximum(above, 0)) if above.size else 0.0


def _on_front(rows: Points) -> NDArray[np.bool_]:
    """Which rows no row before them reaches everywhere; of rows that fall and differ, the front.

    No sum is taken to put them in order: it would be rounded.
    """
    kept = np.zeros(len(rows), dtype=bool)
    front = np.empty_like(rows)
    count = 0
    for index, row in enumerate(rows):
        if not (front[:count] >= row).all(axis=1).any():
            front[count] = row
            kept[index] = True
            count += 1
    return kept


def _volume(rows: Points) -> float:
    """The volume below some of the rows and above 0.

    Each row adds its own box less what the later ones have of it. These are higher in the last
    column, so that their parts of the box all have its height, and one column less is left to do.
    """
    rows = rows[np.argsort(-rows[:, 0], kind="stable")]
    if rows.shape[1] == 1:
        return float(rows[0, 0])
    if rows.shape[1] == _PLANE:
        heights = np.maximum.accumulate(rows[:, 1])
        return float(rows[:, 0] @ np.diff(heights, prepend=0))
    front = rows[_on_front(rows)]
    front = front[np.argsort(front[:, -1], kind="stable")]
    bases = front[:, :-1]
    areas = bases.prod(axis=1)
    areas[:-1] -= [_volume(np.minimum(base, bases[i:])) for i, base in enumerate(bases[:-1], 1)]
    return float(areas @ front[:, -1])
