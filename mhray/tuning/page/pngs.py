"""Figures as PNG, for papers and for Markdown: drawn by matplotlib, on white.

Without pyplot, which keeps figures for ever and looks for a screen.
"""

import math
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator, NullLocator

from mhray.durable import replacing
from mhray.tuning.page.blocks import Figures
from mhray.tuning.page.figure import Bars, Figure, Line, Points, Series, Values
from mhray.tuning.page.palette import COLOURS

COLUMNS = 3
WIDTH = 4.2  # inches of one figure
WIDE = 9.0  # of one that stands alone
HEIGHT = 3.5
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
POINTS = 0.75  # of a pixel of the page
ABOVE, BELOW, BELOW_WORDS, BESIDE, END = 0.35, 0.55, 1.1, 0.65, 0.15  # inches around axes
LETTER = 0.06  # inches of a letter
LEGEND = 0.17  # inches of a row of it, above the axes: among the data it would hide some
NAMES = 2  # in such a row
NAMES_WIDE = 4  # … of a figure that stands alone
_CROWDED = 3  # words on an axis that fit side by side


def draw_png(block: Figures, directory: Path) -> Path:
    """Draw figures that stand side by side into one file; returns it."""
    columns = min(COLUMNS, len(block.figures))
    rows = math.ceil(len(block.figures) / columns)
    legend = _legend_rows(block)
    width = (WIDE if columns == 1 else WIDTH) * columns
    height = (HEIGHT + LEGEND * legend) * rows
    canvas = Canvas(figsize=(width, height), dpi=DOTS)
    FigureCanvasAgg(canvas)
    for index, figure in enumerate(block.figures, 1):
        _draw(canvas.add_subplot(rows, columns, index), figure, _names_in_a_row(block))
    _leave_room(canvas, block, (width, height), (columns, rows))
    path = directory / f"{block.name}.png"
    with replacing(path) as draft:
        canvas.savefig(draft, format="png")
    return path


def _leave_room(
    canvas: Canvas, block: Figures, size: tuple[float, float], grid: tuple[int, int]
) -> None:
    """Room for words beside the axes; Matplotlib's own layouts draw all twice to find it."""
    above = ABOVE + LEGEND * _legend_rows(block)
    below = BELOW_WORDS if any(figure.x_ticks for figure in block.figures) else BELOW
    beside = BESIDE + LETTER * max((len(label) for label in _labels(block)), default=0)
    width, height = size[0] / grid[0], size[1] / grid[1]
    canvas.subplots_adjust(
        left=beside / size[0],
        right=1 - END / size[0],
        bottom=below / size[1],
        top=1 - above / size[1],
        wspace=(beside + END) / (width - beside - END),
        hspace=(below + above) / (height - below - above),
    )


def _names_in_a_row(block: Figures) -> int:
    return NAMES_WIDE if len(block.figures) == 1 else NAMES


def _legend_rows(block: Figures) -> int:
    """Of the figure with most series; one alone needs no legend."""
    most = max(len(figure.series) for figure in block.figures)
    return math.ceil(most / _names_in_a_row(block)) if most > 1 else 0


def _labels(block: Figures) -> list[str]:
    bars = (one for figure in block.figures for one in figure.series if isinstance(one, Bars))
    return [label for series in bars for label in series.labels]


def _draw(axes: Axes, figure: Figure, names_in_a_row: int) -> None:
    for index, series in enumerate(figure.series):
        _draw_series(axes, series, index, len(figure.series))
    has_legend = len(figure.series) > 1
    rows = math.ceil(len(figure.series) / names_in_a_row) if has_legend else 0
    axes.set_title(figure.title, fontsize=10, pad=6 + 72 * LEGEND * rows)
    axes.set_xlabel(figure.x, fontsize=9)
    axes.set_ylabel(figure.y, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(
        MaxNLocator(4, steps=[1, 2, 5, 10], integer=figure.x_is_whole, min_n_ticks=1)
    )
    if figure.x_is_log:
        axes.set_xscale("log")
        axes.xaxis.set_minor_locator(NullLocator())
    if figure.x_ticks:
        crowded = len(figure.x_ticks) > _CROWDED
        angle, end = (30, "right") if crowded else (0, "center")
        axes.set_xticks(list(figure.x_ticks), list(figure.x_ticks.values()), rotation=angle, ha=end)
    if has_legend:
        place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0, 1)}
        axes.legend(fontsize=7, frameon=False, ncol=names_in_a_row, borderaxespad=0.2, **place)


def _draw_series(axes: Axes, series: Series, index: int, count: int) -> None:
    colour = COLOURS[series.colour].light
    match series:
        case Points():
            x, y, mark = _with_gaps(series.x), _with_gaps(series.y), _MARKS[series.symbol]
            area = (POINTS * series.size) ** 2
            alpha = 0.8 * series.opacity
            axes.scatter(x, y, s=area, c=colour, marker=mark, label=series.name, alpha=alpha)
        case Line():
            x, y = _with_gaps(series.x), _with_gaps(series.y)
            dash, width = _DASHES[series.dash], series.width
            look: dict[str, Any] = {"color": colour, "lw": width, "alpha": 0.8}
            if series.size:
                look |= {"marker": "o", "ms": POINTS * series.size, "mew": 0}
            axes.plot(x, y, dash, label=series.name, **look)
        case Bars():
            height = 0.8 / count
            places = [row + (index - (count - 1) / 2) * height for row in range(len(series.labels))]
            axes.barh(places, _with_gaps(series.lengths), height, color=colour, label=series.name)
            axes.set_yticks(range(len(series.labels)), series.labels)
            axes.set_ylim(len(series.labels) - 0.5, -0.5)


def _with_gaps(values: Values) -> list[float]:
    return [math.nan if value is None else value for value in values]
