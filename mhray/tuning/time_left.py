"""How long a sweep still takes: epochs that are left, by the seconds that each has taken so far.

Not trials by seconds per trial: the first trials to end are those that were stopped first. What
lies between epochs counts with them, and what lies between trials with each that is still to come.
"""

import time
from collections.abc import Callable
from heapq import heappop, heappush
from random import Random
from statistics import fmean

from mhray.tuning.courses import Reached, courses
from mhray.tuning.record import TrialRecord
from mhray.tuning.span import Span
from mhray.tuning.study import Study

WAYS = 50
DRIFT = 0.2  # of a machine's speed in the rest of a sweep, as a deviation of its logarithm


class TimeLeft:
    """Follows the trials of a sweep from event to event.

    Args:
        study: the sweep's.
        max_epochs: the epoch at which a trial is complete.
        places: how many trials train at a time.
        past: the trials of earlier starts.
        seconds_per_epoch: of a trial, from other sweeps, until one is seen; None: unknown.
        lead: seconds of a trial before its first epoch, until one that waits for a place is seen.
        clock: seconds since any fixed moment.
    """

    def __init__(
        self,
        study: Study,
        max_epochs: int,
        places: int,
        past: list[TrialRecord],
        seconds_per_epoch: float | None,
        lead: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._study = study
        self._max_epochs = max_epochs
        self._places = places
        self._before = seconds_per_epoch
        self._usual_lead = lead
        self._clock = clock
        self._trials = {record.number: Reached.of(record) for record in past}
        self._starting: set[int] = set()
        self._free: list[float] = []
        self._since: dict[int, tuple[float, bool]] = {}  # and whether a place was waited for
        self._epochs: list[float] = []
        self._leads: list[float] = []
        self._last = clock()
        self._forecast: Span | None = None

    def started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker."""
        self._note()
        # The first trials wait for their processes to start, as no later one does.
        self._since[record.number] = (
            (heappop(self._free), True) if self._free else (self._last, False)
        )
        self._starting.add(record.number)
        self._trials[record.number] = Reached.of(record)

    def finished_epoch(self, number: int, epoch: int, seconds: float) -> None:
        """A trial has finished an epoch that took it so many seconds."""
        self._note()
        since, follows = self._since[number]
        if number not in self._starting:
            seconds = self._last - since
        elif follows:
            self._leads.append(max(0.0, self._last - since - seconds))
        self._starting.discard(number)
        self._since[number] = (self._last, follows)
        self._epochs.append(seconds)
        known = self._trials[number]
        self._trials[number] = Reached(number, known.overrides, epoch, has_ended=False)

    def ended(self, record: TrialRecord) -> None:
        """A trial is finished for good."""
        self._note()
        heappush(self._free, self._last)
        self._trials[record.number] = Reached.of(record)

    def span(self) -> Span | None:
        """The seconds from now to the end; None as long as no speed is known."""
        if self._forecast is None:
            self._forecast = self._foreseen()
        has_begun = bool(self._since)  # until then Ray starts, which is no trial's time
        gone = self._clock() - self._last if has_begun else 0.0
        return self._forecast and self._forecast.after(gone)

    def _note(self) -> None:
        """Something has happened, and what was forecast before is no longer true."""
        self._last = self._clock()
        self._forecast = None

    def _foreseen(self) -> Span | None:
        seconds = fmean(self._epochs) if self._epochs else self._before
        if seconds is None:
            return None
        lead = (fmean(self._leads) if self._leads else self._usual_lead) / seconds
        trials = list(self._trials.values())
        ways = courses(self._study, self._max_epochs, self._places, trials, lead=lead, count=WAYS)
        drift = Random(0)  # noqa: S311  nobody guesses these for gain
        return Span.of(seconds * way.length * drift.lognormvariate(0, DRIFT) for way in ways)
