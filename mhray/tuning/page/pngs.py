"""Figures as PNG, for papers and for Markdown: drawn by matplotlib, on white.

Without pyplot, which keeps figures for ever and looks for a screen.
"""

import math
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from mhray.durable import replacing
from mhray.tuning.page.blocks import Figures
from mhray.tuning.page.figure import Bars, Figure, Line, Points, Series, Values
from mhray.tuning.page.palette import COLOURS

COLUMNS = 3
INCHES = 4.2, 3.5  # of one figure
WIDE = 9.0
DOTS = 130  # per inch
_MARKS = {
    "circle": "o",
    "square": "s",
    "diamond": "D",
    "cross": "P",
    "triangle-up": "^",
    "x": "x",
    "star": "*",
}
_DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-."}
_CROWDED = 3  # words on an axis that fit side by side


def draw_png(block: Figures, directory: Path) -> Path:
    """Draw figures that stand side by side into one file; returns it."""
    columns = min(COLUMNS, len(block.figures))
    rows = math.ceil(len(block.figures) / columns)
    width = WIDE if columns == 1 else INCHES[0] * columns
    canvas = Canvas(figsize=(width, INCHES[1] * rows), dpi=DOTS, layout="constrained")
    FigureCanvasAgg(canvas)
    for index, figure in enumerate(block.figures, 1):
        _draw(canvas.add_subplot(rows, columns, index), figure)
    path = directory / f"{block.name}.png"
    with replacing(path) as draft:
        canvas.savefig(draft, format="png")
    return path


def _draw(axes: Axes, figure: Figure) -> None:
    for index, series in enumerate(figure.series):
        _draw_series(axes, series, index, len(figure.series))
    axes.set_title(figure.title, fontsize=10)
    axes.set_xlabel(figure.x, fontsize=9)
    axes.set_ylabel(figure.y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    if figure.x_is_log:
        axes.set_xscale("log")
    if figure.x_ticks:
        crowded = len(figure.x_ticks) > _CROWDED
        turned = {"rotation": 30, "ha": "right"} if crowded else {}
        axes.set_xticks(list(figure.x_ticks), list(figure.x_ticks.values()), **turned)
    if len(figure.series) > 1:
        axes.legend(fontsize=7, framealpha=0.8)


def _draw_series(axes: Axes, series: Series, index: int, count: int) -> None:
    colour = COLOURS[series.colour].light
    match series:
        case Points():
            mark, area = _MARKS[series.symbol], series.size**2
            axes.scatter(series.x, series.y, area, colour, mark, label=series.name, alpha=0.8)
        case Line():
            x, y = _with_gaps(series.x), _with_gaps(series.y)
            dash, width = _DASHES[series.dash], series.width
            axes.plot(x, y, dash, color=colour, linewidth=width, label=series.name, alpha=0.8)
        case Bars():
            height = 0.8 / count
            places = [row + (index - (count - 1) / 2) * height for row in range(len(series.labels))]
            axes.barh(places, _with_gaps(series.lengths), height, color=colour, label=series.name)
            axes.set_yticks(range(len(series.labels)), series.labels)
            axes.set_ylim(len(series.labels) - 0.5, -0.5)


def _with_gaps(values: Values) -> list[float]:
    return [math.nan if value is None else value for value in values]
