"""What a person sees of a sweep: a live table in a terminal, one line per event elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from typing_extensions import override

from mhray.training.epoch_row import EpochRow
from mhray.tuning.progress_table import heads_line, running_table, values_of
from mhray.tuning.record import TrialRecord
from mhray.tuning.search import Observer
from mhray.tuning.standings import Standings
from mhray.tuning.time_left import TimeLeft

WORDS = {"COMPLETE": "done", "PRUNED": "stopped", "FAIL": "failed"}


class Progress(Observer):
    """Tells a console what happens.

    Args:
        standings: counts and the best so far, past trials included.
        time_left: from where past trials stand.
        max_epochs: the epoch at which a trial is complete.
        noun: what a trial is called.
    """

    def __init__(
        self,
        console: Console,
        standings: Standings,
        time_left: TimeLeft,
        max_epochs: int,
        noun: str = "trial",
    ) -> None:
        self.console = console
        self.standings = standings
        self.time_left = time_left
        self.max_epochs = max_epochs
        self.noun = noun
        self.is_stopping = False
        self.live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """The live table, where there is a terminal for it."""
        if not self.console.is_interactive:
            yield
            return
        with self._live() as live:
            self.live = live
            yield
        self.live = None

    def _live(self) -> Live:
        # Redirected, Ray's and MLflow's words would come to the terminal instead of the log.
        return Live(
            get_renderable=self.picture,
            console=self.console,
            refresh_per_second=2,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def trial_started(self, record: TrialRecord) -> None:
        """A trial was handed to a worker, for the first time or again."""
        self.standings.started(record)
        self.time_left.started(record)
        again = f", again from epoch {record.epochs[-1].epoch}" if record.epochs else ""
        if record.takeovers and record.takeovers[-1].epoch == record.epochs[-1].epoch:
            again += f" of trial {record.takeovers[-1].parent}"
        name = f" ({record.candidate}, seed {record.seed})" if record.candidate else ""
        self._line(f"{self.noun} {record.number}{name} started{again}")

    @override
    def epoch_ended(self, number: int, row: EpochRow) -> None:
        self.standings.finished_epoch(number, row)
        self.time_left.finished_epoch(number, row.epoch, row.seconds)
        values = values_of(row, self.standings.shown)
        shown = "  ".join(f"{word} {value:.3f}" for word, value in values.items())
        self._line(f"{self.noun} {number} epoch {row.epoch}: {shown}")

    @override
    def trial_ended(self, record: TrialRecord) -> None:
        self.standings.ended(record)
        self.time_left.ended(record)
        reached = f" at epoch {record.epochs[-1].epoch}" if record.epochs else ""
        reason = f": {record.failure.splitlines()[-1]}" if record.failure else ""
        word = WORDS[record.state]
        self._line(
            f"{self.noun} {record.number} {word}{reached}{reason} ({'; '.join(self.summary())})"
        )

    def trial_retried(self, number: int, reason: str) -> None:
        """A trial failed and is started again."""
        self.console.print(
            f"{self.noun} {number} failed and is tried again: {reason}", markup=False
        )

    def stopping(self) -> None:
        """Say once that the sweep is being stopped."""
        if not self.is_stopping:
            self.console.print("stopping: finished epochs are kept; once more to end at once")
        self.is_stopping = True

    def summary(self) -> tuple[str, str, str]:
        """Counts, the best so far and the time left."""
        counts = {word: self.standings.counts[state] for state, word in WORDS.items()}
        counted = [f"{count} {word}" for word, count in counts.items()]
        counted.insert(1, f"{len(self.standings.running)} running")
        best = "none yet"
        if self.standings.best is not None:
            number, value = self.standings.best
            best = f"{self.noun} {number} with {self.standings.selection.metric} {value:.4f}"
        left = self.time_left.span()
        return (
            f"{', '.join(counted)} of {self.standings.total}",
            f"best: {best}",
            f"time left: {'not known yet' if left is None else left}",
        )

    def picture(self) -> Group:
        """The summary, the best of each head, and the running trials, a row each."""
        return Group(
            *self.summary(),
            heads_line(self.standings),
            running_table(self.standings, self.max_epochs, self.console.size),
        )

    def _line(self, text: str) -> None:
        if self.live is None:
            self.console.print(text, markup=False)
