"""What raising one head's weight buys that head, and what it costs the others."""

import math
from collections.abc import Iterator

from mhray.tuning.page.blocks import Figures, Section, points, text
from mhray.tuning.page.effects import Quarters, quarters_of, running_mean
from mhray.tuning.page.figure import Figure, Line, Points, Series
from mhray.tuning.page.material import Material, accuracy
from mhray.tuning.page.palette import colour_of, dash_of, symbol_of
from mhray.tuning.page.searched import Quantity
from mhray.tuning.page.thinning import opacity_of
from mhray.tuning.page.wording import interval_of, listed, number, scaled
from mhray.tuning.record import TrialRecord

MOST = 6  # heads in one figure: more cannot be told apart


def response(material: Material) -> Section:
    """For each searched weight, each head's accuracy against it."""
    title = "What a weight buys and costs"
    weights = _weights(material)
    if not weights:
        return Section(title, (text("No head's weight is searched."),))
    *each, note = response_sentences(material)
    figures = tuple(_figure(material, weight) for weight in weights)
    means = any(isinstance(one, Line) for figure in figures for one in figure.series)
    caption = "Accuracy of each head on validation against one head's weight" + (
        ", with running means." if means else "."
    )
    return Section(title, (points(each), text(note), Figures("weights", caption, figures)))


def response_sentences(material: Material) -> Iterator[str]:
    """What each weight buys and costs, beyond chance; all intervals hold together."""
    weights = _weights(material)
    family = len(weights) * len(material.heads)
    found = {weight: quarters_of(_amounts(material, weight)) for weight in weights}
    if not any(found.values()):
        yield "There are too few complete trials to tell what a weight does: it takes twelve."
        return
    for weight, quarters in found.items():
        if quarters is not None:
            yield _sentence(material, weight, quarters, family)
    yield (
        "Each compares the quarter of complete trials with the least weight with the quarter that "
        "has the most; the 95 % intervals hold together, and other searched values differ too."
    )


def _sentence(material: Material, weight: Quantity, quarters: Quarters, family: int) -> str:
    bought: list[str] = []
    cost: list[str] = []
    for head in material.heads:
        metric = accuracy(head)
        values = [material.validated(record)[metric] for record in material.complete]
        change = quarters.change(values, family)
        if change.is_off_zero:
            words = f"{head} {interval_of(metric, change)}"
            (bought if change.mean > 0 else cost).append(words)
    rise = f"Raising the {weight.name} from {number(quarters.low)} to {number(quarters.high)}"
    if not bought and not cost:
        return f"{rise} changes no head measurably."
    parts = [f"buys {listed(bought)}"] if bought else []
    parts += [f"costs {listed(cost)}"] if cost else []
    return f"{rise} {' and '.join(parts)}."


def _weights(material: Material) -> list[Quantity]:
    """The weights that every complete trial has."""
    found = [quantity for quantity in material.quantities if quantity.weighs]
    return [one for one in found if all(one.path in material.values(r) for r in material.complete)]


def _amounts(material: Material, weight: Quantity) -> list[float]:
    return [float(material.values(record)[weight.path] or 0) for record in material.complete]


def _figure(material: Material, weight: Quantity) -> Figure:
    amounts = tuple(_amounts(material, weight))
    series: list[Series] = []
    for index, head in enumerate(_shown(material, weight)):
        metric = accuracy(head)
        values = [
            scaled(metric, material.validated(record)[metric]) for record in material.complete
        ]
        x, y = running_mean(amounts, values) if amounts else ([], [])
        colour = colour_of(index)
        trials = _numbers(material.complete)
        look = (colour, trials, symbol_of(index), 5, opacity_of(len(values)))
        series.append(Points(head, amounts, tuple(values), *look))
        mean = Line(f"{head}, mean", tuple(x), tuple(y), colour, (), dash_of(index), 2.5)
        series += [mean] if len(x) > 1 else []
    return Figure(weight.name, weight.path, "val accuracy (%)", tuple(series))


def _numbers(records: tuple[TrialRecord, ...]) -> tuple[int, ...]:
    return tuple(record.number for record in records)


def _shown(material: Material, weight: Quantity) -> list[str]:
    """The heads of a figure: all, or of many the weight's own and those that change most."""
    quarters = quarters_of(_amounts(material, weight))
    if len(material.heads) <= MOST or quarters is None:
        return list(material.heads[:MOST])

    def change(head: str) -> float:
        values = [material.validated(record)[accuracy(head)] for record in material.complete]
        return math.inf if head == weight.weighs else abs(quarters.change(values).mean)

    most = sorted(material.heads, key=change, reverse=True)[:MOST]
    return [head for head in material.heads if head in most]
