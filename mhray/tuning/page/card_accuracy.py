"""How good a registered model is, head by head, and how far each figure may be off.

Where fresh seeds confirmed it, they say what another training of the same overrides would reach. Of
one model alone a share of images has an interval, which says what other images of the same kind
would give.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from mhray.tuning.comparison import interval
from mhray.tuning.page.blocks import Block, Table, text
from mhray.tuning.page.head_table import MEAN
from mhray.tuning.page.material import Material, accuracy
from mhray.tuning.page.wording import is_share, scaled, value_of
from mhray.tuning.record import TrialRecord

_Z = 1.959963984540054  # of 95 % under a normal distribution
_SPLITS = ("val", "test")


@dataclass(frozen=True)
class Judged:
    """How many images each split has, as far as all of them were looked at; 0 otherwise."""

    val: int
    test: int


def wilson(share: float, images: int) -> tuple[float, float]:
    """The 95 % interval of a share of so many images, after Wilson (1927).

    >>> low, high = wilson(0.9, 1000)
    >>> f"{low:.4f} {high:.4f}"
    '0.8798 0.9171'
    """
    square = _Z**2 / images
    centre = share + square / 2
    half = _Z * math.sqrt((share * (1 - share) + square / 4) / images)
    return (centre - half) / (1 + square), (centre + half) / (1 + square)


def accuracies(
    material: Material, model: TrialRecord, heads: Sequence[str], judged: Judged
) -> tuple[Block, ...]:
    """The table of heads, their mean and what the study selects by; how to read it."""
    metrics = {accuracy(head): head for head in heads} | {MEAN: "mean"}
    metrics.setdefault(material.study.select.metric, material.study.select.metric)
    known = model.best_epoch(material.study.selection).metrics
    seeds = len(_fresh(material, material.study.select.metric))
    header = ("head", *_fresh_header(seeds), "validation", *(("test",) if model.test else ()))
    rows = tuple(
        (word, *_row(material, model, metric, judged))
        for metric, word in metrics.items()
        if metric in known
    )
    return Table(header, rows), text(*_how_to_read(seeds, judged))


def _fresh(material: Material, metric: str) -> list[float]:
    """What the winner reached with each fresh seed, on validation; nothing without a winner."""
    state = material.confirmation
    if state is None or state.winner is None:
        return []
    return list(state.by_seed(metric)[state.winner.name].values())


def _fresh_header(seeds: int) -> tuple[str, ...]:
    return (f"median of {seeds} fresh seeds", "their mean") if seeds else ()


def _row(material: Material, model: TrialRecord, metric: str, judged: Judged) -> Iterator[str]:
    values = _fresh(material, metric)
    if values:
        yield value_of(metric, median(values))
        mean = interval([scaled(metric, value) for value in values])
        yield f"{mean:.1f} %" if is_share(metric) else f"{mean:.4g}"
    known = model.best_epoch(material.study.selection).metrics | model.test
    is_counted = metric == MEAN or metric in material.metrics
    for split, images in zip(_SPLITS, (judged.val, judged.test), strict=True):
        value = known.get(metric.replace("val", split, 1))
        if split == "val" or model.test:
            yield _cell(metric, value, images if is_counted else 0)


def _cell(metric: str, value: float | None, images: int) -> str:
    if value is None or not images:
        return value_of(metric, value)
    low, high = wilson(value, images)
    return f"{value_of(metric, value)} ({100 * low:.1f} to {100 * high:.1f})"


def _how_to_read(seeds: int, judged: Judged) -> Iterator[str]:
    if seeds:
        yield (
            f"Fresh seeds are {seeds} more trainings of the same overrides, judged on validation; "
            "their mean has its 95 % interval (Student's t). This model is the one with the median."
        )
    else:
        yield "No fresh seed confirmed it: its validation figures are those that chose it."
    if judged.val or judged.test:
        yield (
            "In brackets: the 95 % interval of a share of that many images (Wilson), for this one "
            "model; of the mean over heads it is no wider than this."
        )
