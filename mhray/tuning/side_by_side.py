"""Two studies of the same data beside each other: how far their results differ, and how surely.

Trials that drew the same values with the same seed make pairs, and differences are taken pair by
pair: so a study is compared with one that has another base. Without two such pairs the best trials
are compared, each with what a bootstrap over its study's trials makes of the best. That interval is
rough: the best of trials drawn again is never better than the best there was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mhray.errors import StudyConflictError
from mhray.tuning.comparison import difference
from mhray.tuning.page.head_table import MEAN
from mhray.tuning.page.material import Material
from mhray.tuning.page.wording import change_of, value_of
from mhray.tuning.record import TrialRecord

DRAWS = 2000  # of the bootstrap
LEAST_PAIRS = 2
Key: TypeAlias = tuple[tuple[tuple[str, object], ...], int]


@dataclass(frozen=True)
class Contrast:
    """How much more one study has of a metric than another, with its 95 % interval.

    Attributes:
        pairs: trials of each that were compared one by one; 0: the best ones were.
    """

    metric: str
    change: float
    low: float
    high: float
    pairs: int = 0


def side_by_side(studies: Sequence[Material]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table: each study's best, then how far it is from the first.

    Raises:
        StudyConflictError: the studies cannot be compared.
    """
    _refuse_unlike(studies)
    first, *others = studies
    names = [f"{one.study.name}\ntrial {one.best.number}" for one in studies if one.best]
    header = ["", *names, *(f"{one.study.name}\n- {first.study.name}" for one in others)]
    return header, [_row(studies, metric) for metric in _shared_metrics(studies)]


def how_compared(studies: Sequence[Material]) -> list[str]:
    """What the differences of a table are, in a sentence for each study after the first."""
    first, *others = studies
    return [_how(first, other) for other in others]


def contrast(first: Material, other: Material, metric: str) -> Contrast:
    """How much more of a metric the other one has than the first."""
    mine, its = _by_draw(first, metric), _by_draw(other, metric)
    pairs = len(mine.keys() & its.keys())
    # One pair has no scatter to tell an interval from.
    found = difference(its, mine) if pairs >= LEAST_PAIRS else None
    if found is not None:
        low, high = found.mean - found.half, found.mean + found.half
        return Contrast(metric, found.mean, low, high, pairs)
    change = _of_best(other, metric) - _of_best(first, metric)
    luck = np.random.default_rng(0)
    spread = _bests(other, metric, luck) - _bests(first, metric, luck)
    low, high = np.quantile(spread, [0.025, 0.975])
    return Contrast(metric, change, float(low), float(high))


def _row(studies: Sequence[Material], metric: str) -> list[str]:
    first, *others = studies
    values = [value_of(metric, _of_best(study, metric)) for study in studies]
    return [metric, *values, *(_told(contrast(first, other, metric)) for other in others)]


def _told(found: Contrast) -> str:
    low, high = (
        change_of(found.metric, end).removesuffix(" points") for end in (found.low, found.high)
    )
    return f"{change_of(found.metric, found.change)}\n[{low}, {high}]"


def _how(first: Material, other: Material) -> str:
    names = f"{other.study.name} - {first.study.name}"
    pairs = contrast(first, other, first.study.select.metric).pairs
    if pairs:
        return (
            f"{names}: mean difference over {pairs} pairs of trials that drew the same values with "
            "the same seed, with its 95 % interval (Student's t)."
        )
    return (
        f"{names}: difference of the best trials. Fewer than {LEAST_PAIRS} trials of the two drew "
        "the same values with the same seed, so the 95 % interval is an unpaired bootstrap over "
        "the trials of each, which is rough."
    )


def _refuse_unlike(studies: Sequence[Material]) -> None:
    """Refuses studies whose figures do not mean the same.

    Raises:
        StudyConflictError: their data, their split or what they are judged by differ.
    """
    first, *others = studies
    for other in others:
        names = f"{first.study.name} and {other.study.name}"
        for what in ("fingerprint", "seed", "val_fraction"):
            mine, its = first.data.get(what), other.data.get(what)
            if mine != its:
                raise StudyConflictError(
                    f"{names}: their data differ ({what}: {mine} and {its}), so their accuracies "
                    "do; compare studies of the same data and split"
                )
        if first.study.select != other.study.select:
            mine, its = first.study.select.metric, other.study.select.metric
            raise StudyConflictError(
                f"{names}: they chose their best by {mine} and {its}; compare studies with the "
                "same select"
            )
    for study in studies:
        if study.best is None:
            raise StudyConflictError(
                f"{study.study.name}: no trial is complete; compare it once one is"
            )


def _shared_metrics(studies: Sequence[Material]) -> list[str]:
    """What the best trials of all studies log of validation and a reader wants compared."""
    wanted = dict.fromkeys((*studies[0].metrics, MEAN, studies[0].study.select.metric))
    return [
        metric
        for metric in wanted
        if all(study.best and metric in study.validated(study.best) for study in studies)
    ]


def _by_draw(study: Material, metric: str) -> dict[Key, float]:
    return {
        _key(study, record): study.validated(record)[metric]
        for record in study.complete
        if metric in study.validated(record)
    }


def _key(study: Material, record: TrialRecord) -> Key:
    return tuple(sorted(study.values(record).items())), record.seed


def _of_best(study: Material, metric: str) -> float:
    return study.validated(study.best)[metric] if study.best else float("nan")


def _bests(study: Material, metric: str, luck: np.random.Generator) -> NDArray[np.float64]:
    """The metric of the best trial among as many trials drawn again, many times."""
    select, sign = study.study.select.metric, 1 if study.study.select.mode == "max" else -1
    judged = np.array([sign * study.validated(record)[select] for record in study.complete])
    values = np.array([study.validated(record)[metric] for record in study.complete])
    draws = luck.integers(0, len(judged), (DRAWS, len(judged)))
    best = judged[draws].argmax(axis=1)
    found: NDArray[np.float64] = values[draws[np.arange(DRAWS), best]]
    return found
