"""The rows of a grid, each at its own best of what is tuned, and what their seeds can tell apart.

Rows of which one has the better learning rate cannot be compared (Xin et al. 2022, Kurin et al.
2022). So each row has the values of `tune` with the best mean over its seeds, by the study's metric
on validation; the test split, which chose nothing, then says how good that is. All rows have the
same seeds, so their differences are taken seed by seed.
"""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scipy.special import stdtrit
from typing_extensions import override

from mhray.training.selection import Selection
from mhray.tuning.record import TrialRecord
from mhray.tuning.space import walk
from mhray.tuning.study import Study


@dataclass(frozen=True)
class Row:
    """Complete trials that differ in their seeds alone.

    Attributes:
        name: the searched overrides that make up the row.
        tuned: those that are chosen for it.
        trials: one for each seed.
    """

    name: tuple[str, ...]
    tuned: tuple[str, ...]
    trials: tuple[TrialRecord, ...]

    def values(self, metric: str, selection: Selection) -> dict[int, float]:
        """A metric of each trial's best epoch, or of its test, by seed; where it is known."""
        found = {
            record.seed: (record.best_epoch(selection).metrics | record.test).get(metric)
            for record in self.trials
        }
        return {seed: value for seed, value in found.items() if value is not None}


@dataclass(frozen=True)
class Interval:
    """A mean, and half the width of its 95 % interval (Student's t); infinite for one value."""

    mean: float
    half: float

    @override
    def __format__(self, spec: str) -> str:
        """Both in the format of the mean; the mean alone, if that is all that is known.

        >>> f"{Interval(0.25, 0.125):.2f}", f"{Interval(2.0, 0.5):+.1f}", f"{interval([1.0]):.1f}"
        ('0.25 ± 0.12', '+2.0 ± 0.5', '1.0')
        """
        half = f" ± {self.half:{spec.lstrip('+')}}" if math.isfinite(self.half) else ""
        return f"{self.mean:{spec}}{half}"

    @property
    def is_off_zero(self) -> bool:
        """Whether 0 lies outside the interval."""
        return abs(self.mean) > self.half


def rows_of(study: Study, records: Iterable[TrialRecord]) -> list[Row]:
    """The rows of a study's grid in the order of their first trials, each with its best trials.

    Those of several `tuned` values that have the most complete trials are compared by their mean.
    """
    by_setting: dict[tuple[tuple[str, ...], tuple[str, ...]], list[TrialRecord]] = {}
    for record in records:
        if record.state == "COMPLETE":
            by_setting.setdefault(setting_of(study, record.overrides), []).append(record)
    by_name: dict[tuple[str, ...], list[Row]] = {}
    for (name, tuned), trials in by_setting.items():
        by_name.setdefault(name, []).append(Row(name, tuned, tuple(trials)))
    return [_best_of(rows, study.selection) for rows in by_name.values()]


def setting_of(study: Study, overrides: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The overrides of a trial that make up its row, and those that are tuned."""
    drawn = {entry.path for entry in walk(study.search)}
    tune = study.grid.tune if study.grid else ()
    own = [(text.partition("=")[0], text) for text in overrides]
    name = tuple(text for path, text in own if path in drawn and path not in tune)
    return name, tuple(text for path, text in own if path in tune)


def interval(values: Sequence[float]) -> Interval:
    """The mean of some values with its 95 % interval.

    >>> interval([1.0, 2.0, 3.0])
    Interval(mean=2.0, half=2.484137711...)
    """
    mean = statistics.mean(values)
    if len(values) == 1:
        return Interval(mean, math.inf)
    error = statistics.stdev(values) / math.sqrt(len(values))
    return Interval(mean, float(stdtrit(len(values) - 1, 0.975)) * error)


def difference(values: Mapping[Any, float], others: Mapping[Any, float]) -> Interval | None:
    """How much more one row has than another over the seeds of both; None if there are none."""
    differences = [value - others[seed] for seed, value in values.items() if seed in others]
    return interval(differences) if differences else None


def _best_of(rows: Sequence[Row], selection: Selection) -> Row:
    most = max(len(row.trials) for row in rows)
    sign = 1 if selection.mode == "max" else -1

    def merit(row: Row) -> float:
        return sign * statistics.mean(row.values(selection.metric, selection).values())

    return max((row for row in rows if len(row.trials) == most), key=merit)
