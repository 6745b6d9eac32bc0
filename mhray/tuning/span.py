"""A forecast of seconds: its middle, and the range in which it lies four times of five."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import quantiles


@dataclass(frozen=True)
class Span:
    """A forecast of seconds.

    Attributes:
        low: it is less one time of ten.
        middle: it is as likely more as less.
        high: it is more one time of ten.
    """

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Span":
        """The span of values that are equally likely.

        >>> Span.of([*range(101)])
        Span(low=10.0, middle=50.0, high=90.0)
        """
        tenths = quantiles(values, n=10, method="inclusive")
        return cls(tenths[0], tenths[4], tenths[8])

    def after(self, seconds: float) -> "Span":
        """What is left of it when so many seconds have gone by."""
        return Span(*(max(0.0, each - seconds) for each in (self.low, self.middle, self.high)))

    def __str__(self) -> str:
        """For a person, with the range only if it says more than the middle.

        >>> str(Span(100, 150, 400)), str(Span(150, 150, 150.2))
        ('about 2 min 30 s (1 min 40 s to 6 min 40 s)', 'about 2 min 30 s')
        """
        low, middle, high = map(duration, (self.low, self.middle, self.high))
        return f"about {middle}" + ("" if low == high else f" ({low} to {high})")


def duration(seconds: float) -> str:
    """Seconds in the unit a person would use.

    >>> duration(42), duration(150), duration(7320), duration(200000)
    ('42 s', '2 min 30 s', '2 h 2 min', '2 d 7 h')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, rest_of_day = divmod(hours, 24)
    if days:
        return f"{days} d {rest_of_day} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
