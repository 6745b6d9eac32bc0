"""Whose checkpoint a trial of a population has: from whom it took over, and the run behind that.

A trial that takes over becomes another run, which its parent began and it goes on with. What the
journal holds of either stays as it was; the run is put together from both.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Any

from mhray.training.changes import Change
from mhray.training.epoch_row import EpochRow
from mhray.tuning.record import Takeover, TrialRecord


def as_run(
    record: TrialRecord,
    recorded: Sequence[Mapping[str, Any]],
    own_rows: Callable[[int], Sequence[Mapping[str, Any]]],
) -> TrialRecord:
    """The record of a trial as the run that its checkpoint comes from.

    Both as the journal holds them: ``recorded`` are the takeovers of all trials, ``own_rows`` what
    a trial reported, of whatever run it was at the time.
    """
    takeovers = takeovers_of(record.number, recorded)
    if not takeovers:
        return record
    rows = rows_of_run(record.number, recorded, own_rows)
    return replace(
        record,
        overrides=takeovers[-1].overrides,
        drawn=record.overrides,
        epochs=rows,
        takeovers=takeovers,
    )


def takeovers_of(number: int, recorded: Iterable[Mapping[str, Any]]) -> tuple[Takeover, ...]:
    """A trial's takeovers among all that a journal holds, the last one last."""
    return tuple(_read(fields) for fields in recorded if fields["trial"] == number)


def rows_of_run(
    number: int,
    recorded: Sequence[Mapping[str, Any]],
    own_rows: Callable[[int], Sequence[Mapping[str, Any]]],
    until: float = inf,
) -> tuple[EpochRow, ...]:
    """The rows of the run that a trial's checkpoint comes from, up to an epoch."""
    before = [one for one in takeovers_of(number, recorded) if one.epoch <= until]
    start = before[-1].epoch if before else 0
    own = (EpochRow(**row) for row in own_rows(number) if start < row["epoch"] <= until)
    return (*(rows_of_run(before[-1].parent, recorded, own_rows, start) if before else ()), *own)


def _read(fields: Mapping[str, Any]) -> Takeover:
    changes = [Change(change["epoch"], tuple(change["overrides"])) for change in fields["changes"]]
    overrides = tuple(fields["overrides"])
    return Takeover(**{**fields, "overrides": overrides, "changes": tuple(changes)})
