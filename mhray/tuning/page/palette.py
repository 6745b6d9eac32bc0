"""Colours that colour-blind readers can tell apart: Okabe and Ito's, by what they stand for.

Okabe & Ito 2008, "Color Universal Design". On dark ground their blue and vermillion are lightened;
yellow is left out, since it vanishes on white. No series differs from another by its colour alone.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Colour:
    """One colour on white and on dark ground."""

    light: str
    dark: str


COLOURS = {
    "best": Colour("#d55e00", "#ff8a3d"),
    "baseline": Colour("#0072b2", "#56b4e9"),
    "other": Colour("#8c8c8c", "#8f959e"),
    "complete": Colour("#009e73", "#2bc79b"),
    "stopped": Colour("#e69f00", "#e69f00"),
    "failed": Colour("#cc79a7", "#dd8fba"),
    "running": Colour("#56b4e9", "#56b4e9"),
    "series0": Colour("#0072b2", "#56b4e9"),
    "series1": Colour("#d55e00", "#ff8a3d"),
    "series2": Colour("#009e73", "#2bc79b"),
    "series3": Colour("#cc79a7", "#dd8fba"),
    "series4": Colour("#e69f00", "#e69f00"),
    "series5": Colour("#4d4d4d", "#d0d0d0"),
}
SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")
DASHES = ("solid", "dash", "dot", "dashdot")
_SERIES = 6


def colour_of(index: int) -> str:
    """The colour of one of several series; they begin again after the sixth."""
    return f"series{index % _SERIES}"


def symbol_of(index: int) -> str:
    """The mark of one of several series; with the colour it tells 36 apart."""
    return SYMBOLS[(index + index // _SERIES) % len(SYMBOLS)]


def dash_of(index: int) -> str:
    """The line of one of several series."""
    return DASHES[index % len(DASHES)]
