"""How long a sweep still takes: epochs that are left, by the seconds that each has taken so far.

Not trials by seconds per trial: the first trials to end are those that were stopped first. And not
an epoch's own seconds: what lies between epochs, and between trials, is part of what is waited for.
"""

import time
from collections.abc import Callable
from random import Random

from mhray.tuning.courses import Reached, courses
from mhray.tuning.record import TrialRecord
from mhray.tuning.span import Span
from mhray.tuning.study import Study

WAYS = 50
DRIFT = 0.1  # of a machine's speed in the rest of a sweep, as a deviation of its logarithm


class TimeLeft:
    """Follows the trials of a sweep from event to event.

    Args:
        study: the sweep's.
        max_epochs: the epoch at which a trial is complete.
        places: how many trials train at a time.
        past: the trials of earlier starts.
        seconds_per_epoch: of a trial, from other sweeps, until one is seen; None: unknown.
        clock: seconds since any fixed moment.
    """

    def __init__(
        self,
        study: Study,
        max_epochs: int,
        places: int,
        past: list[TrialRecord],
        seconds_per_epoch: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._max_epochs = max_epochs
        self._places = places
        self._before = seconds_per_epoch
        self._clock = clock
        self._trials = {record.number: Reached.of(record) for record in past}
        self._running: set[int] = set()
        self._busy = 0.0
        self._epochs = 0
        self._last = clock()
        self._forecast: Span | None = None

    def started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker."""
        self._pass_time()
        self._running.add(record.number)
        self._trials[record.number] = Reached.of(record)

    def finished_epoch(self, number: int, epoch: int) -> None:
        """A trial has finished an epoch."""
        self._pass_time()
        self._epochs += 1
        known = self._trials[number]
        self._trials[number] = Reached(number, known.overrides, epoch, has_ended=False)

    def ended(self, record: TrialRecord) -> None:
        """A trial is finished for good."""
        self._pass_time()
        self._running.discard(record.number)
        self._trials[record.number] = Reached.of(record)

    def span(self) -> Span | None:
        """The seconds from now to the end; None as long as no speed is known."""
        if self._forecast is None:
            self._forecast = self._foreseen()
        return self._forecast and self._forecast.after(self._clock() - self._last)

    def _pass_time(self) -> None:
        now = self._clock()
        self._busy += (now - self._last) * min(len(self._running), self._places)
        self._last = now
        self._forecast = None

    def _foreseen(self) -> Span | None:
        seconds = self._before
        if self._epochs:
            # Of the others' epochs that are under way, half is done on average.
            under_way = max(0, min(len(self._running), self._places) - 1) / 2
            seconds = self._busy / (self._epochs + under_way)
        if seconds is None:
            return None
        trials = list(self._trials.values())
        ways = courses(self._study, self._max_epochs, self._places, trials, count=WAYS)
        drift = Random(0)  # noqa: S311  nobody guesses these for gain
        return Span.of(seconds * way.length * drift.lognormvariate(0, DRIFT) for way in ways)
