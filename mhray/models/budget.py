"""The width at which a network has the parameters that it should have.

All widths of a network are multiplied by one factor. Parameters grow with it, in steps, since
widths are whole; so bisection finds the step. A count builds the layers on the meta device, where
they take no memory.
"""

from bisect import bisect_left
from collections.abc import Callable
from functools import cache

from mhray.errors import ConfigError

TOLERANCE = 0.1  # of the budget

_STEP = 1.005  # between neighbouring factors, which is 1 % of most parameters
_EXPONENTS = range(-1000, 1001)  # factors from 1/147 to 147


def scaled(width: float, factor: float, multiple: int = 1) -> int:
    """A width times a factor, rounded to multiples; at least one of them.

    >>> scaled(16, 1.0), scaled(16, 0.55), scaled(30, 1.5, multiple=4), scaled(8, 0.01)
    (16, 9, 44, 1)
    """
    return max(1, round(width * factor / multiple)) * multiple


def solve_width_scale(count_at: Callable[[float], int], budget: int) -> float:
    """The factor at which the count is closest to the budget; the same one every time.

    Raises:
        ConfigError: the closest count is more than 10 % away.

    >>> round(solve_width_scale(lambda factor: scaled(100, factor) ** 2, 40_000), 2)
    2.0
    """
    count = cache(lambda exponent: count_at(_STEP**exponent))
    above = bisect_left(_EXPONENTS, budget, key=count)
    neighbours = _EXPONENTS[max(above - 1, 0) : above + 1]
    closest = min(neighbours, key=lambda exponent: abs(count(exponent) - budget))
    if abs(count(closest) - budget) > TOLERANCE * budget:
        sizes = " or ".join(f"{count(exponent)}" for exponent in neighbours)
        raise ConfigError(
            f"model.net.parameter_budget: {budget}, but no width has as many parameters within "
            f"{TOLERANCE:.0%}; write {sizes}"
        )
    return float(_STEP**closest)
