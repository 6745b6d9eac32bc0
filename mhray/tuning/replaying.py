"""A trial, trained again from the journal and compared with what it was, epoch by epoch.

Everything that decides a run is in its overrides and its seed, so the same versions on the same
machine give the same numbers, to the last bit. Where they do not, what else differs is said: the
versions, the commit, the data.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from mhray.data.batches import fingerprint
from mhray.errors import ConfigError
from mhray.training.epoch_row import EpochRow
from mhray.training.origin import origin, with_seed
from mhray.training.run import Report, compose_run
from mhray.training.workers import run
from mhray.tuning.journal import Journal
from mhray.tuning.record import TrialRecord

OF_THE_RUN = ("train/", "val/")


@dataclass(frozen=True)
class Comparison:
    """What a replay of a trial found.

    Attributes:
        epochs: how many were compared.
        unlike: the metrics that differ, epoch by epoch, each in words.
        differing: what else is not as it was, each in words.
    """

    epochs: int
    unlike: tuple[str, ...]
    differing: tuple[str, ...]

    @property
    def is_equal(self) -> bool:
        """Whether every metric of every epoch is what it was."""
        return not self.unlike


def trial_of(journal: Journal, number: int) -> TrialRecord:
    """A trial that can be replayed.

    Raises:
        ConfigError: there is none of this number, or it has finished no epoch.
    """
    records = {record.number: record for record in journal.trials()}
    if number not in records:
        raise ConfigError(
            f"TRIAL: the study has no trial {number}; write one from 0 to {max(records, default=0)}"
        )
    if not records[number].epochs:
        raise ConfigError(f"TRIAL: trial {number} has finished no epoch; write another one")
    return records[number]


def replay(journal: Journal, record: TrialRecord, directory: Path, report: Report) -> Comparison:
    """Train a trial again, for as many epochs as it had, and compare.

    Args:
        journal: of its study.
        record: the trial.
        directory: of the new run; an older replay there is written over.
        report: told each epoch that ends.

    Raises:
        ConfigError: the run no longer composes.
    """
    about = journal.about()
    config_dir = Path(about.config_dir) if about.config_dir else None
    overrides = with_seed(record.overrides, record.seed)
    config = compose_run(overrides, config_dir)
    found: list[EpochRow] = []

    def keep(row: EpochRow) -> None:
        found.append(row)
        report(row)
        if row.epoch == record.epochs[-1].epoch:
            raise _Enough

    with suppress(_Enough):
        run(config, directory, report=keep, overrides=overrides)
    now = {**origin(), "data": fingerprint(Path(config.data.data_dir))}
    before = {**journal.origin, "data": about.data["fingerprint"]}
    return Comparison(
        len(found), tuple(_unlike(record.epochs, found)), tuple(_changes(before, now))
    )


class _Enough(Exception):  # noqa: N818  no error
    """The trial was stopped here."""


def _unlike(before: Sequence[EpochRow], now: Sequence[EpochRow]) -> Iterator[str]:
    for was, is_now in zip(before, now, strict=True):
        for name in sorted({*_of_the_run(was), *_of_the_run(is_now)}):
            # As texts: a value that is no number equals itself, and no digit is lost.
            old, new = (repr(row.metrics.get(name)) for row in (was, is_now))
            if old != new:
                yield f"epoch {was.epoch}: {name} was {old}, is {new}"


def _of_the_run(row: EpochRow) -> list[str]:
    return [name for name in row.metrics if name.startswith(OF_THE_RUN)]


def _changes(before: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*before, *now}):
        if before.get(name) != now.get(name):
            yield f"{name} was {before.get(name) or 'unknown'}, is {now.get(name) or 'unknown'}"
