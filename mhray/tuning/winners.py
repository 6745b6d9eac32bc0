"""The confirmed winners of two studies beside each other, over the fresh seeds of both.

They are compared as the candidates of one confirmation are: seed by seed, with an error that is of
all candidates of both studies about candidate plus seed (:mod:`mhray.tuning.race`).
"""

from dataclasses import dataclass

from mhray.tuning.comparison import Interval
from mhray.tuning.confirmation import Confirmation
from mhray.tuning.race import Layout

LEAST_SEEDS = 2


@dataclass(frozen=True)
class Apart:
    """How much more of a metric one winner has than another, over so many seeds of both."""

    more: Interval
    seeds: int


def winners_apart(
    first: Confirmation, other: Confirmation, metric: str, error_rate: float
) -> Apart | None:
    """How much more the other's winner has, at a two-sided error rate.

    None if a study has no winner, or both share fewer than two seeds of this metric.
    """
    if first.winner is None or other.winner is None:
        return None
    mine, its = f"first {first.winner.name}", f"other {other.winner.name}"
    rows = {**_rows("first", first, metric), **_rows("other", other, metric)}
    seeds = len(rows[mine].keys() & rows[its].keys())
    found = _layout(rows).difference(its, mine, error_rate) if seeds >= LEAST_SEEDS else None
    return None if found is None else Apart(found, seeds)


def _rows(which: str, state: Confirmation, metric: str) -> dict[str, dict[int, float]]:
    """What the candidates of a study reached, by seed; two studies may have a trial 0 each."""
    found = state.by_seed(metric)
    return {f"{which} {name}": found[name] for name in state.race.entered}


def _layout(rows: dict[str, dict[int, float]]) -> Layout:
    seeds = sorted({seed for row in rows.values() for seed in row})
    return Layout(
        {
            name: {seeds.index(seed): value for seed, value in row.items()}
            for name, row in rows.items()
        }
    )
