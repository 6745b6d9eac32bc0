"""What is said of each failure, and when they are no longer single ones and the sweep stops.

A reason is told once in full, with its place in the user's code; later trials refer to the first.
If the first trials of a start all fail for one reason, or most of the last ones, so would the next.
"""

from collections import deque
from pathlib import Path

from rich.console import Console

from mhray.errors import FailingTrialsError
from mhray.training.epoch_row import EpochRow
from mhray.tuning.failures import TEXT, Failure
from mhray.tuning.record import TrialRecord

FIRST = 5
LAST = 10


class FailureRule:
    """Hears how trials end; counts from this start on, since a cause may be mended in between.

    Args:
        console: is told of each failure.
        root: each trial has its directory there, named by its number.
    """

    def __init__(self, console: Console, root: Path) -> None:
        self._console = console
        self._root = root
        self._ended = 0
        self._last: deque[str] = deque(maxlen=LAST)
        self._told: dict[str, int] = {}
        self._verdict = ""

    @property
    def has_tripped(self) -> bool:
        """Whether the sweep must stop."""
        return bool(self._verdict)

    def refuse_to_go_on(self) -> None:
        """End a sweep that was stopped.

        Raises:
            FailingTrialsError: too many trials failed for the same reason.
        """
        if self._verdict:
            raise FailingTrialsError(self._verdict)

    def trial_started(self, record: TrialRecord) -> None:
        """Starts count for nothing."""

    def epoch_ended(self, number: int, row: EpochRow) -> None:
        """Epochs count for nothing."""

    def trial_ended(self, record: TrialRecord) -> None:
        """Count the end of a trial, and tell why it failed."""
        self._ended += 1
        if record.state != "FAIL":
            self._last.append("")
            return
        failure = Failure.read(self._root / str(record.number))
        self._last.append(failure.reason)
        self._tell(record, failure)
        self._judge(failure)

    def _tell(self, record: TrialRecord, failure: Failure) -> None:
        if failure.reason in self._told:
            self._say(f"  trial {record.number} failed as trial {self._told[failure.reason]} did")
            return
        self._told[failure.reason] = record.number
        self._say(f"why trial {record.number} failed: {failure.headline}")
        if failure.frame:
            self._say(f"  at {failure.frame}")
        self._say(f"  overrides: {' '.join(record.overrides)}")
        path = self._root / str(record.number) / TEXT
        if path.is_file():
            self._say(f"  all of it: {path}")

    def _judge(self, failure: Failure) -> None:
        alike = self._last.count(failure.reason)
        if self._ended == alike == FIRST:
            which = f"the first {FIRST} trials"
        elif alike > LAST / 2:
            which = f"{alike} of the last {len(self._last)} trials"
        else:
            return
        self._verdict = (
            f"budget.trials: {which} of this start failed for the same reason, that of trial "
            f"{self._told[failure.reason]}: {failure.headline}; mend it and run the same command, "
            "which keeps what has ended and counts anew"
        )

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, soft_wrap=True)
