"""Figures as plotly.js reads them, and plotly.js itself.

These are dictionaries, and plotly's Python classes are not asked to check them: importing those
takes longer than the whole report. What counts is what a browser says of the page, and a test asks.
Colours stay roles; the page's own script puts in the ones that fit light or dark.
"""

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mhray.tuning.page.figure import Bars, Figure, Line, Points, Series, Values

_DIGITS = 6  # of a number on an axis: no screen shows more
_ROW = 26  # pixels for each bar
_EPOCHS = 12  # that have a tick each
_DECADES = 90  # from which on powers of ten alone are ticks enough
MARGIN = 0.4  # beside words on an axis, as parts of their distance


def plotly_script() -> str:
    """The source of plotly.js, as the package ships it."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        raise ImportError("plotly is not installed")
    return (Path(spec.origin).parent / "package_data" / "plotly.min.js").read_text("utf-8")


def drawn(figure: Figure) -> dict[str, Any]:
    """The data and the layout of a figure."""
    return {"data": [_trace(series) for series in figure.series], "layout": _layout(figure)}


def _trace(series: Series) -> dict[str, Any]:
    match series:
        case Points():
            marker = {
                "color": series.colour,
                "symbol": series.symbol,
                "size": series.size,
                "opacity": series.opacity,
            }
            own = {"type": "scatter", "mode": "markers", "marker": marker}
            return {**own, **_along(series), "trials": list(series.trials)}
        case Line():
            line = {"color": series.colour, "dash": series.dash, "width": series.width}
            own = {"type": "scatter", "mode": "lines", "line": line}
            if series.size:
                own |= {
                    "mode": "lines+markers",
                    "marker": {"color": series.colour, "size": series.size},
                }
            return {**own, **_along(series), "trials": list(series.trials)}
        case Bars():
            lengths, labels = _rounded(series.lengths), list(series.labels)
            bar = {"type": "bar", "orientation": "h"}
            return {
                **bar,
                "x": lengths,
                "y": labels,
                "name": series.name,
                "marker": {"color": series.colour},
            }


def _along(series: Points | Line) -> dict[str, Any]:
    return {"name": series.name, "x": _rounded(series.x), "y": _rounded(series.y)}


def _rounded(values: Values) -> list[float | None]:
    return [None if value is None else float(f"{value:.{_DIGITS}g}") for value in values]


def _layout(figure: Figure) -> dict[str, Any]:
    bars = [series for series in figure.series if isinstance(series, Bars)]
    x = {"title": {"text": figure.x}, **_ticks(figure.x_ticks)}
    y = {"title": {"text": figure.y}, **_ticks(figure.y_ticks)}
    if figure.x_ticks:
        x["range"] = [min(figure.x_ticks) - MARGIN, max(figure.x_ticks) + MARGIN]
    if figure.x_is_log:
        x |= {"type": "log", "dtick": _log_step(figure), "exponentformat": "power"}
    if figure.x_is_whole:
        x |= {"tickformat": "d", **({"dtick": 1} if _largest(figure) <= _EPOCHS else {})}
    layout: dict[str, Any] = {"xaxis": x, "yaxis": y}
    if bars:
        y["autorange"] = "reversed"
        layout["height"] = 150 + _ROW * len(bars[0].labels) * len(bars)
    return layout


def _log_step(figure: Figure) -> float | str:
    """Powers of ten, and between few of them 2 and 5 as well, which plotly calls D2."""
    values = [value for series in figure.series for value in _along_x(series) if value]
    return 1 if not values or max(values) >= _DECADES * min(values) else "D2"


def _largest(figure: Figure) -> float:
    return max((value or 0 for series in figure.series for value in _along_x(series)), default=0)


def _along_x(series: Series) -> Values:
    return series.lengths if isinstance(series, Bars) else series.x


def _ticks(words: Mapping[float, str]) -> dict[str, Any]:
    return {"tickvals": list(words), "ticktext": list(words.values())} if words else {}
