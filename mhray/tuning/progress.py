"""What a person sees of a sweep: a live table in a terminal, one line per event elsewhere."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from typing_extensions import override

from mhray.training.epochs import EpochRow, Selection
from mhray.tuning.record import TrialRecord
from mhray.tuning.search import Observer

WORDS = {"COMPLETE": "done", "PRUNED": "stopped", "FAIL": "failed"}


class Progress(Observer):
    """Counts, running trials and the best so far.

    Args:
        shown: the metrics that are shown of an epoch, without their split, and a word for each.
        total: trials.
        past: the trials that earlier starts ended.
    """

    def __init__(
        self,
        console: Console,
        selection: Selection,
        shown: Mapping[str, str],
        total: int,
        max_epochs: int,
        past: list[TrialRecord],
    ) -> None:
        self.console = console
        self.selection = selection
        self.shown_metrics = shown
        self.total = total
        self.max_epochs = max_epochs
        self.running: dict[int, EpochRow | None] = {}
        self.counts = dict.fromkeys(WORDS, 0)
        self.best: tuple[int, EpochRow] | None = None
        self.started = time.monotonic()
        self.ended_now = 0
        self.is_stopping = False
        self.live: Live | None = None
        for record in past:
            self._count(record)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The live table, where there is a terminal for it."""
        if not self.console.is_terminal:
            yield
            return
        with self._live() as live:
            self.live = live
            yield
        self.live = None

    def _live(self) -> Live:
        # Redirected, Ray's and MLflow's words would come to the terminal instead of the log.
        return Live(
            get_renderable=self.table,
            console=self.console,
            refresh_per_second=2,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def trial_started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker, for the first time or again."""
        self.running[record.number] = record.epochs[-1] if record.epochs else None
        again = f", again from epoch {record.epochs[-1].epoch}" if record.epochs else ""
        if record.takeovers and record.takeovers[-1].epoch == record.epochs[-1].epoch:
            again += f" of trial {record.takeovers[-1].parent}"
        self._line(f"trial {record.number} started{again}")

    @override
    def epoch_ended(self, number: int, row: EpochRow) -> None:
        self.running[number] = row
        self._line(f"trial {number} epoch {row.epoch}: {self._values(row)}")

    @override
    def trial_ended(self, record: TrialRecord) -> None:
        self.running.pop(record.number, None)
        self.ended_now += 1
        self._count(record)
        reached = f" at epoch {record.epochs[-1].epoch}" if record.epochs else ""
        reason = f": {record.failure.splitlines()[-1]}" if record.failure else ""
        self._line(
            f"trial {record.number} {WORDS[record.state]}{reached}{reason} ({self.summary()})"
        )

    def trial_retried(self, number: int, reason: str) -> None:
        """A trial failed and is started again."""
        self.console.print(f"trial {number} failed and is tried again: {reason}", markup=False)

    def stopping(self) -> None:
        """Say once that the sweep is being stopped."""
        if not self.is_stopping:
            self.console.print("stopping: finished epochs are kept; once more to end at once")
        self.is_stopping = True

    def summary(self) -> str:
        """Counts, the best so far and the time left, on one line."""
        counted = ", ".join(f"{self.counts[state]} {word}" for state, word in WORDS.items())
        best = "none yet"
        if self.best is not None:
            number, row = self.best
            best = f"trial {number} with {self.selection.metric} {self._value(row):.4f}"
        return f"{counted} of {self.total}; best: {best}; {self.time_left()}"

    def time_left(self) -> str:
        """An estimate from the trials that ended since this start, early-stopped ones included."""
        remaining = self.total - sum(self.counts.values())
        if not self.ended_now:
            return "time left: not known yet"
        per_trial = (time.monotonic() - self.started) / self.ended_now
        return f"time left: about {duration(per_trial * remaining)}"

    def table(self) -> Table:
        """The running trials, a row each, under the summary."""
        table = Table(title=self.summary(), title_justify="left", expand=False)
        for column in ("trial", "epoch", "accuracy by head"):
            table.add_column(column)
        for number, row in sorted(self.running.items()):
            epoch = f"{row.epoch if row else 0}/{self.max_epochs}"
            table.add_row(str(number), epoch, self._values(row) if row else "starting")
        return table

    def _values(self, row: EpochRow) -> str:
        # A head that a trial does not predict has no accuracy.
        return "  ".join(
            f"{word} {row.metrics[f'val/{name}']:.3f}"
            for name, word in self.shown_metrics.items()
            if f"val/{name}" in row.metrics
        )

    def _value(self, row: EpochRow) -> float:
        return row.metrics[self.selection.metric]

    def _count(self, record: TrialRecord) -> None:
        self.counts[record.state] += 1
        if record.state != "COMPLETE":
            return
        row = record.best_epoch(self.selection)
        if not all(f"val/{name}" in row.metrics for name in self.shown_metrics):
            return  # over fewer heads it is another measure
        if self.best is None or self.selection.prefers(self._value(row), self._value(self.best[1])):
            self.best = (record.number, row)

    def _line(self, text: str) -> None:
        if self.live is None:
            self.console.print(text, markup=False)


def duration(seconds: float) -> str:
    """Seconds in the unit a person would use.

    >>> duration(42), duration(150), duration(7320)
    ('42 s', '2 min 30 s', '2 h 2 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
