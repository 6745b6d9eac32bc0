"""Two studies of the same data beside each other: how far their results differ, and how surely.

Where both were confirmed, their winners are compared over the fresh seeds of both. Else trials that
drew the same values with the same seed make pairs, and differences are taken pair by pair: so a
study is compared with one that has another base. Without two such pairs the best trials are
compared, each with what a bootstrap over its study's trials makes of the best. That interval is
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
from mhray.tuning.winners import winners_apart

DRAWS = 2000  # of the bootstrap
LEAST_PAIRS = 2
ERROR = 0.05  # of all intervals over fresh seeds in a table together
Key: TypeAlias = tuple[tuple[tuple[str, object], ...], int]


@dataclass(frozen=True)
class Contrast:
    """How much more one study has of a metric than another, with its interval.

    Attributes:
        pairs: trials of each that were compared one by one; 0: the best ones were.
        seeds: fresh ones over which the winners were compared; 0: something else was.
    """

    metric: str
    change: float
    low: float
    high: float
    pairs: int = 0
    seeds: int = 0


def side_by_side(studies: Sequence[Material]) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of a table: each study's best, then how far it is from the first.

    Raises:
        StudyConflictError: the studies cannot be compared.
    """
    _refuse_unlike(studies)
    first, *others = studies
    ends = _ends(studies)
    names = [f"{one.study.name}\n{_name_of(end)}" for one, end in zip(studies, ends, strict=True)]
    header = ["", *names, *(f"{one.study.name}\n- {first.study.name}" for one in others)]
    metrics = _shared_metrics(studies, ends)
    error_rate = ERROR / max(1, len(metrics) * len(others))
    return header, [_row(studies, ends, metric, error_rate) for metric in metrics]


def how_compared(studies: Sequence[Material]) -> list[str]:
    """What the differences of a table are, in a sentence for each study after the first."""
    first, *others = studies
    return [_how(first, other) for other in others]


def contrast(first: Material, other: Material, metric: str, error_rate: float = ERROR) -> Contrast:
    """How much more of a metric the other one has than the first.

    ``error_rate`` is that of an interval over fresh seeds; all others are of 95 %.
    """
    if first.confirmation and other.confirmation:
        apart = winners_apart(first.confirmation, other.confirmation, metric, error_rate)
        if apart is not None:
            mean, half = apart.more.mean, apart.more.half
            return Contrast(metric, mean, mean - half, mean + half, seeds=apart.seeds)
    return _of_search(first, other, metric)


def _of_search(first: Material, other: Material, metric: str) -> Contrast:
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


def _ends(studies: Sequence[Material]) -> list[TrialRecord]:
    """What each study ends with: runs with fresh seeds if all were confirmed, else best trials."""
    winners = [study.winner for study in studies if study.winner]
    return winners if len(winners) == len(studies) else [one.best for one in studies if one.best]


def _name_of(end: TrialRecord) -> str:
    return f"{end.candidate}\nwith seed {end.seed}" if end.candidate else f"trial {end.number}"


def _row(
    studies: Sequence[Material], ends: Sequence[TrialRecord], metric: str, error_rate: float
) -> list[str]:
    first, *others = studies
    reached = [value_of(metric, metrics[metric]) for metrics in _reached(studies, ends)]
    found = (contrast(first, other, metric, error_rate) for other in others)
    return [metric, *reached, *map(_told, found)]


def _reached(studies: Sequence[Material], ends: Sequence[TrialRecord]) -> list[dict[str, float]]:
    pairs = zip(studies, ends, strict=True)
    return [end.best_epoch(study.study.selection).metrics for study, end in pairs]


def _told(found: Contrast) -> str:
    low, high = (
        change_of(found.metric, end).removesuffix(" points") for end in (found.low, found.high)
    )
    return f"{change_of(found.metric, found.change)}\n[{low}, {high}]"


def _how(first: Material, other: Material) -> str:
    names = f"{other.study.name} - {first.study.name}"
    found = contrast(first, other, first.study.select.metric)
    if found.seeds:
        return (
            f"{names}: mean difference of the confirmed winners over the {found.seeds} fresh seeds "
            "of both. All such intervals of a table hold together in 19 of 20 "
            "(docs/confirmation.md)."
        )
    if found.pairs:
        return (
            f"{names}: mean difference over {found.pairs} pairs of trials that drew the same "
            "values with the same seed, with its 95 % interval (Student's t)."
        )
    return (
        f"{names}: difference of the best trials of the search. Fewer than {LEAST_PAIRS} trials of "
        "the two drew the same values with the same seed, so the 95 % interval is an unpaired "
        "bootstrap over the trials of each, which is rough."
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


def _shared_metrics(studies: Sequence[Material], ends: Sequence[TrialRecord]) -> list[str]:
    """What all studies' ends and best trials log of validation and a reader wants compared."""
    bests = [study.validated(study.best) for study in studies if study.best]
    logged = [*bests, *_reached(studies, ends)]
    wanted = dict.fromkeys((*studies[0].metrics, MEAN, studies[0].study.select.metric))
    return [metric for metric in wanted if all(metric in metrics for metrics in logged)]


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
