"""What was drawn and how it did: all searched quantities beside each other, and each by itself."""

from collections.abc import Iterator

import numpy as np

from mhray.tuning.page.blocks import Figures, Section, text
from mhray.tuning.page.figure import Figure, Line, Number, Points
from mhray.tuning.page.material import Material
from mhray.tuning.page.searched import Quantity
from mhray.tuning.page.thinning import LINES, evenly
from mhray.tuning.page.wording import axis, number, scaled
from mhray.tuning.record import BASELINE, TrialRecord

QUARTERS = ("worst quarter", "third quarter", "second quarter", "best quarter")
LOOKS = (
    ("failed", "dot", 1),
    ("stopped", "dashdot", 1),
    ("baseline", "dash", 1.2),
    ("best", "solid", 2),
)
SLICES = 12  # figures at most: the page stays one that somebody reads


def parallel(material: Material) -> Section:
    """Parallel coordinates: a line for each complete trial across all searched quantities."""
    title = "All that was searched"
    if not material.complete:
        return Section(title, (text("No trial is complete."),))
    drawn = (
        f"{LINES} complete trials, evenly by result,"
        if _are_thinned(material)
        else "Complete trials"
    )
    caption = (
        f"{drawn} across all searched quantities, each from the lower end of its range to the "
        "upper; the last place is the result."
    )
    return Section(
        title, (text(_told(material)), Figures("parallel", caption, (_parallel(material),)))
    )


def slices(material: Material) -> Section:
    """The result against each searched quantity by itself."""
    title = "Each quantity by itself"
    if not material.complete:
        return Section(title, (text("No trial is complete."),))
    quantities = material.quantities[:SLICES]
    figures = tuple(_slice(material, quantity) for quantity in quantities)
    more = len(material.quantities) - len(quantities)
    told = f"The first {SLICES} of {len(material.quantities)} are shown." if more else ""
    caption = f"{material.study.select.metric} of complete trials against each searched quantity."
    return Section(title, (text(told), Figures("slices", caption, figures)))


def _told(material: Material) -> str:
    ranges = ", ".join(f"{one.name} {_range(one)}" for one in material.quantities)
    return f"From 0 % to 100 % of the range: {ranges}."


def _range(quantity: Quantity) -> str:
    if quantity.choices:
        return f"({', '.join(map(str, quantity.choices))})"
    scale = ", log" if quantity.is_log else ""
    return f"[{number(quantity.low)}, {number(quantity.high)}{scale}]"


def _parallel(material: Material) -> Figure:
    results = {one.number: _result(material, one) for one in material.complete}
    low, high = min(results.values()), max(results.values())
    series = []
    for name, look, quarter in zip(QUARTERS, LOOKS, _by_quarter(material), strict=True):
        records = evenly(quarter, LINES // len(QUARTERS)) if _are_thinned(material) else quarter
        x: list[Number] = []
        y: list[Number] = []
        trials: list[int] = []
        for record in records:
            places = list(_places(material, record))
            result = (results[record.number] - low) / ((high - low) or 1)
            x += [*(at for at, _ in places), float(len(material.quantities)), None]
            y += [*(100 * place for _, place in places), 100 * result, None]
            trials += [record.number] * (len(places) + 2)
        colour, dash, width = look
        series.append(Line(name, tuple(x), tuple(y), colour, tuple(trials), dash, width))
    names = [*(one.name for one in material.quantities), material.study.select.metric]
    ticks = {float(index): name for index, name in enumerate(names)}
    return Figure(
        "Parallel coordinates", "", "place in its range (%)", tuple(series), x_ticks=ticks
    )


def _are_thinned(material: Material) -> bool:
    return len(material.complete) > LINES


def _places(material: Material, record: TrialRecord) -> Iterator[tuple[float, float]]:
    values = material.values(record)
    for index, quantity in enumerate(material.quantities):
        if quantity.path in values:
            yield float(index), quantity.place(values[quantity.path])


def _by_quarter(material: Material) -> list[list[TrialRecord]]:
    """The complete trials from the worst quarter to the best."""
    ranked = sorted(
        material.complete,
        key=lambda one: material.validated(one)[material.study.select.metric],
        reverse=material.study.select.mode == "min",
    )
    return [[ranked[i] for i in part] for part in np.array_split(np.arange(len(ranked)), 4)]


def _result(material: Material, record: TrialRecord) -> float:
    return material.validated(record)[material.study.select.metric]


def _slice(material: Material, quantity: Quantity) -> Figure:
    metric = material.study.select.metric
    best = material.chosen.number if material.chosen else -1
    have = [r for r in material.complete if quantity.path in material.values(r)]
    groups = (
        ("complete", "other", "circle", 6, have),
        ("trial 0", "baseline", "square", 11, [r for r in have if r.number == BASELINE]),
        (material.chosen_name, "best", "star", 14, [r for r in have if r.number == best]),
    )
    series = tuple(
        Points(
            name,
            tuple(_at(quantity, material, record) for record in records),
            tuple(scaled(metric, _result(material, record)) for record in records),
            colour,
            tuple(record.number for record in records),
            symbol,
            size,
        )
        for name, colour, symbol, size, records in groups
        if records
    )
    ticks = {float(index): str(choice) for index, choice in enumerate(quantity.choices)}
    return Figure(
        quantity.name, quantity.path, axis(metric), series, x_is_log=quantity.is_log, x_ticks=ticks
    )


def _at(quantity: Quantity, material: Material, record: TrialRecord) -> float:
    value = material.values(record)[quantity.path]
    return float(quantity.choices.index(value)) if quantity.choices else float(value or 0)
