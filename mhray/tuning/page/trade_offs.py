"""The trials that no other one beats on all heads, and the heads that pull against each other."""

from collections.abc import Iterator
from itertools import combinations

from mhray.tuning.front import on_front
from mhray.tuning.page.blocks import Figures, Section, Table, text
from mhray.tuning.page.effects import Correlation, rank_correlation
from mhray.tuning.page.figure import Figure, Points
from mhray.tuning.page.material import Material, accuracy
from mhray.tuning.page.wording import axis, counted, listed, scaled, value_of
from mhray.tuning.record import BASELINE, TrialRecord

PANELS = 3
ROWS = 12  # of the table: a front of many heads holds most trials
_TWO = 2


def trade_offs(material: Material) -> Section:
    """The Pareto front over heads, and what it costs one head to win on another."""
    title = "Heads against each other"
    if len(material.heads) < _TWO or len(material.complete) < _TWO:
        return Section(title, (text("This takes two heads and two complete trials."),))
    front = front_over_heads(material)
    return Section(
        title,
        (
            text(_front_sentence(material, front), *conflict_sentences(material)),
            _figures(material, front),
            _table(material, front),
        ),
    )


def front_over_heads(material: Material) -> list[TrialRecord]:
    """The complete trials that no other one is as good as on every head and better on one."""
    points = [
        [material.validated(one)[metric] for metric in material.metrics]
        for one in material.complete
    ]
    on = on_front(points)
    return [record for record, is_on in zip(material.complete, on, strict=True) if is_on]


def conflict_sentences(material: Material) -> Iterator[str]:
    """Which heads go up where others go down, or that no two do."""
    found = correlations(material)
    pulling = [(pair, one) for pair, one in found if one is not None and one.is_negative]
    for (first, second), one in sorted(pulling, key=lambda item: item[1].value):
        yield (
            f"{first} and {second} pull against each other: over {len(material.complete)} complete "
            f"trials their rank correlation is {one.value:.2f} (95 % interval {one.low:.2f} to "
            f"{one.high:.2f})."
        )
    if not pulling:
        yield (
            "No two heads pull against each other measurably: no rank correlation of two heads' "
            "accuracies over the complete trials is below 0 beyond chance."
        )


def correlations(material: Material) -> list[tuple[tuple[str, str], Correlation | None]]:
    """How the accuracies of any two heads go together; the intervals hold together."""
    by_head = {
        head: [material.validated(record)[accuracy(head)] for record in material.complete]
        for head in material.heads
    }
    pairs = list(combinations(material.heads, 2))
    return [((a, b), rank_correlation(by_head[a], by_head[b], len(pairs))) for a, b in pairs]


def _front_sentence(material: Material, front: list[TrialRecord]) -> str:
    numbers = [str(record.number) for record in front]
    best = material.chosen
    is_on = best is not None and best.number in {record.number for record in front}
    told = listed(numbers) if len(numbers) <= ROWS else f"{listed(numbers[:ROWS])} and others"
    place = "is on it" if is_on else "is not on it"
    name = material.chosen_name
    whom = "the winner" if name == "winner" else f"the {name} by {material.study.select.metric}"
    size = f"{counted(len(front), 'trial')} of {len(material.complete)}"
    return (
        f"The Pareto front over the {len(material.heads)} heads has {size}: {told}; {whom} {place}."
    )


def _figures(material: Material, front: list[TrialRecord]) -> Figures:
    order = sorted(correlations(material), key=lambda item: item[1].value if item[1] else 1.0)
    figures = tuple(_figure(material, front, *pair) for pair, _ in order[:PANELS])
    caption = (
        "Complete trials by two heads' accuracies on validation: the front over all heads, the "
        f"{material.chosen_name} and trial 0 are marked."
    )
    return Figures("front", caption, figures)


def _figure(material: Material, front: list[TrialRecord], first: str, second: str) -> Figure:
    on = {record.number for record in front}
    best = material.chosen.number if material.chosen else BASELINE
    name = material.chosen_name
    groups = {
        "complete": [r for r in material.complete if r.number not in (*on, best, BASELINE)],
        "front": [r for r in front if r.number not in (best, BASELINE)],
        "trial 0": [r for r in material.complete if r.number == BASELINE],
        name: [r for r in material.complete if r.number == best and best != BASELINE],
    }
    looks = {
        "complete": ("other", "circle", 6),
        "front": ("complete", "diamond", 9),
        "trial 0": ("baseline", "square", 11),
        name: ("best", "star", 14),
    }
    metrics = accuracy(first), accuracy(second)
    series = tuple(
        Points(group, *_places(material, records, metrics), colour, _numbers(records), symbol, size)
        for group, (colour, symbol, size) in looks.items()
        if (records := groups[group])
    )
    return Figure(f"{first} and {second}", axis(metrics[0]), axis(metrics[1]), series)


def _places(
    material: Material, records: list[TrialRecord], metrics: tuple[str, str]
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    x, y = (
        tuple(scaled(metric, material.validated(record)[metric]) for record in records)
        for metric in metrics
    )
    return x, y


def _numbers(records: list[TrialRecord]) -> tuple[int, ...]:
    return tuple(record.number for record in records)


def _table(material: Material, front: list[TrialRecord]) -> Table:
    metric = material.study.select.metric
    ranked = sorted(
        front,
        key=lambda one: material.validated(one)[metric],
        reverse=material.study.select.mode == "max",
    )
    rows = (
        (
            str(record.number),
            *(value_of(one, material.validated(record)[one]) for one in material.metrics),
            material.drawn(record),
        )
        for record in ranked[:ROWS]
    )
    return Table(("trial", *material.heads, "drawn"), tuple(rows), ends_in_words=True)
