"""How the rows of a table come to their final values, which is all that the table has of them.

Every row starts at the same value of a head and ends at its own; in between it has gone a share of
the way, the same share on each of its heads. The kinds of curves differ in that share:

* SameSpeed: 1 - exp(-epoch / tau), tau being a fifth of all epochs. Rows stand at each epoch as
  they stand at the end, so no curves cross, and stopping the worse ones is never wrong.
* OwnSpeed: the same with tau between 0.05 and 0.40 of all epochs, which a hash of the row draws. A
  fast row is ahead of a better slow one for long: stopping early often is wrong.
* Recorded: the share that the heads of a real trial of ours had gone, from record_curves.py, noise
  included. A table's worst rows take those of the worst trials, and its best rows those of the
  best, within two places that a hash draws.

The start is the 5th percentile of a head in the table, as in the measurements for which this was
first done; the few rows that end lower go down. The first two kinds have no noise. This was
committed before any search was run on it, but for one mistake of the third kind: first replays on
it showed that a trial that is best between two epochs of a longer run ended below its table.
"""

import json
import zlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

import numpy as np
from typing_extensions import override

CURVES = Path(__file__).resolve().parent / "curves"


@dataclass(frozen=True)
class Epoch:
    """What a trial says after an epoch.

    Attributes:
        number: counted from 1.
        heads: the value of each.
        mean: of the heads.
        best: the best mean so far.
    """

    number: int
    heads: tuple[float, ...]
    mean: float
    best: float


class LearningCurves(ABC):
    """What the rows of a table reach at each epoch."""

    name: ClassVar[str]

    def __init__(self, table, epochs):
        self.table = table
        self.epochs = epochs
        self._start = np.percentile(table.values, 5, axis=0)

    def after(self, row, number):
        """What a trial of this row says after an epoch."""
        way = self.table.values[row] - self._start
        heads = self._start + np.outer(self.shares(row)[:number], way)
        means = heads.mean(axis=1)
        return Epoch(number, tuple(heads[-1].tolist()), float(means[-1]), float(means.max()))

    @abstractmethod
    def shares(self, row):
        """The share of the way that a row has gone after each epoch: 1 where it is best."""


class SameSpeed(LearningCurves):
    """No curves cross."""

    name = "no crossing"

    @override
    def shares(self, row):
        return _rising(0.2, self.epochs)


class OwnSpeed(LearningCurves):
    """Curves cross, since each row has a speed of its own."""

    name = "crossing"

    @override
    def shares(self, row):
        return _rising(0.05 + 0.35 * _drawn(row, 1000) / 999, self.epochs)


class Recorded(LearningCurves):
    """Curves have the shapes of recorded ones."""

    name = "recorded"

    def __init__(self, table, epochs):
        super().__init__(table, epochs)
        self._shapes = [_stretched(shape, epochs) for shape in recorded_shapes()]
        self._places = np.argsort(np.argsort(table.means, kind="stable"), kind="stable")

    @override
    def shares(self, row):
        last = len(self._shapes) - 1
        place = round(last * self._places[row] / (len(self._places) - 1)) + _drawn(row, 5) - 2
        return self._shapes[min(max(place, 0), last)]


KINDS = (SameSpeed, OwnSpeed, Recorded)


@cache
def recorded_shapes():
    """The shares of recorded trials, the worst trial first: of the mean of the heads above chance.

    A trial has gone all of its way at the epoch that is its best.
    """
    found = []
    for file in sorted(CURVES.glob("*.json")):
        held = json.loads(file.read_text(encoding="utf-8"))
        chance = np.mean([held["chance"][head] for head in sorted(held["chance"])])
        for trial in held["trials"]:
            means = np.mean([trial["heads"][head] for head in sorted(held["chance"])], axis=0)
            found.append((means.max(), tuple((means - chance) / (means.max() - chance))))
    return tuple(np.array(shape) for _, shape in sorted(found))


@cache
def _rising(tau, epochs):
    """1 - exp(-epoch / tau) after each epoch, made 1 at the end; tau in shares of all epochs."""
    time = np.arange(1, epochs + 1) / epochs
    return (1 - np.exp(-time / tau)) / (1 - np.exp(-1 / tau))


def _stretched(shape, epochs):
    """A recorded shape over another number of epochs, which starts from 0 before the first."""
    recorded = np.arange(len(shape) + 1) / len(shape)
    stretched = np.interp(np.arange(1, epochs + 1) / epochs, recorded, [0.0, *shape])
    return stretched / stretched.max()  # its best epoch may lie between two of these


def _drawn(row, count):
    """A number below `count` that depends on the row alone."""
    return zlib.crc32(str(row).encode()) % count
