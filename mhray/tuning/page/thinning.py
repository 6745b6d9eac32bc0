"""Fewer trials where a figure has a line or a mark for each: a thousand lines are one blot."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

LINES = 100  # in one figure that a reader still tells apart
FAINT = 0.3  # of the opacity of marks that are more

Item = TypeVar("Item")


def evenly(items: Sequence[Item], most: int) -> list[Item]:
    """So many items at most, evenly by their place; the first and the last are among them.

    >>> evenly("abcdefg", 3), evenly("ab", 3)
    (['a', 'd', 'g'], ['a', 'b'])
    """
    places = (
        np.linspace(0, len(items) - 1, most).round() if len(items) > most else range(len(items))
    )
    return [items[int(place)] for place in places]


def opacity_of(marks: int) -> float:
    """How opaque so many marks are."""
    return 1.0 if marks <= LINES else FAINT
