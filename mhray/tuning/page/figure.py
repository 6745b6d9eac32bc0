"""A figure before it is drawn: series in plain numbers, drawn by plotly in the page, else as PNG.

A colour is a role, since a page is light or dark and paper is light; :mod:`.palette` knows them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Number: TypeAlias = float | None  # None is a gap in a line
Values: TypeAlias = tuple[Number, ...]


@dataclass(frozen=True)
class Points:
    """A mark for each trial.

    Attributes:
        trials: their numbers, of which the page shows the overrides where the mouse is.
        symbol: plotly's name of the mark.
        size: pixels.
        opacity: of each mark, in [0, 1].
    """

    name: str
    x: Values
    y: Values
    colour: str
    trials: tuple[int, ...] = ()
    symbol: str = "circle"
    size: float = 7
    opacity: float = 1.0


@dataclass(frozen=True)
class Line:
    """Points that are joined; a gap parts one line from the next of the same name.

    Attributes:
        trials: one for each point, as with :class:`Points`.
        dash: plotly's name of the pattern.
        width: pixels.
        size: of a mark at each point, pixels; 0: none.
    """

    name: str
    x: Values
    y: Values
    colour: str
    trials: tuple[int, ...] = ()
    dash: str = "solid"
    width: float = 1.5
    size: float = 0


@dataclass(frozen=True)
class Bars:
    """A bar to the right for each label, from the top down."""

    name: str
    labels: tuple[str, ...]
    lengths: Values
    colour: str


Series: TypeAlias = Points | Line | Bars


@dataclass(frozen=True)
class Figure:
    """One pair of axes with what is drawn in it.

    Attributes:
        x_is_whole: whether there is nothing between whole numbers.
        x_ticks: words in place of numbers, by their place on the axis.
    """

    title: str
    x: str
    y: str
    series: tuple[Series, ...]
    x_is_log: bool = False
    x_is_whole: bool = False
    x_ticks: Mapping[float, str] = field(default_factory=dict)
    y_ticks: Mapping[float, str] = field(default_factory=dict)
