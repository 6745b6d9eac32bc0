"""The outbox: what MLflow is to be told, kept in a file until it has been told.

Training must neither wait for MLflow nor lose a point when it is away. So an update is one line of
a file, flushed before anything else happens, and a thread of its own delivers the lines. A line is
delivered at least once: after a crash, or to another destination, it is delivered again. So it
carries the time at which it happened, and a second delivery must change nothing.
"""

import errno
import json
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

from mhray.durable import write_durably
from mhray.errors import StorageError, full_disk, is_full

PAUSE = 0.25  # seconds between looks into the file: what is written in between goes out together
LONGEST_PAUSE = 15.0  # seconds
BATCH_BYTES = 500_000


@dataclass(frozen=True)
class RunUpdate:
    """What became true of one MLflow run at one time.

    Attributes:
        key: identifies the run; the first update of a key creates it.
        time: milliseconds since 1970.
        name: what the run is called when it is created.
        parent: the key of the run that it belongs under; empty for none.
        status: of MLflow's; empty where it stays as it is.
        step: of the metrics.
    """

    key: str
    time: int
    name: str
    parent: str = ""
    status: str = ""
    step: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)


Deliver: TypeAlias = Callable[[Sequence[RunUpdate]], None]


class Outbox:
    """Updates in the order in which they were added, and how many bytes of them are delivered.

    The position lies beside the file (`.position`) and holds for one destination: another one,
    or the same one made anew, gets everything from the start. Where none is given, it is the last.

    Attributes:
        path: one JSON object a line. A last line that a crash cut off is removed.

    Raises:
        StorageError: the file cannot be opened or written.
    """

    def __init__(self, path: Path, destination: str = "") -> None:
        self.path = path
        self._destination = destination
        self._position_path = path.with_name(f"{path.name}.position")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab", buffering=0)
            self._size = _whole_lines(path)
            self._file.truncate(self._size)
            self._position = self._read_position()
        except OSError as error:
            raise _unwritable(path, error) from None

    def add(self, update: RunUpdate) -> None:
        """Write an update down; it survives the end of this process.

        Raises:
            StorageError: the disk is full, say; the file is then as it was before.
        """
        line = json.dumps(asdict(update)).encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            self._file.truncate(self._size)
            raise _unwritable(self.path, error) from None
        self._size += len(line)

    def history(self) -> list[RunUpdate]:
        """Every update ever added.

        Raises:
            StorageError: a line is no update.
        """
        with self.path.open("rb") as file:
            return [self._parse(line, number) for number, line in enumerate(file, start=1)]

    def go_to(self, destination: str) -> None:
        """From here on the destination is this one, which may have had nothing yet."""
        if destination != self._destination:
            self._destination = destination
            self._position = self._read_position()

    def deliver(self, deliver: Deliver) -> None:
        """Deliver all that waits, in portions, and remember each.

        Raises:
            StorageError: `deliver` raised it, or the position cannot be written.
        """
        while lines := self._waiting():
            deliver([RunUpdate(**json.loads(line)) for line in lines])
            self._save_position(self._position + sum(map(len, lines)))

    def pending(self) -> int:
        """How many updates wait."""
        with self.path.open("rb") as file:
            file.seek(self._position)
            return sum(1 for _ in file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        # An unbuffered write to a full disk is short before it is an error.
        if self._file.write(line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _waiting(self) -> list[bytes]:
        if self._position >= self._size:
            return []
        with self.path.open("rb") as file:
            file.seek(self._position)
            lines = file.readlines(BATCH_BYTES)
        # The sweep may be in the middle of a line while this thread reads.
        return [line for line in lines if line.endswith(b"\n")]

    def _parse(self, line: bytes, number: int) -> RunUpdate:
        try:
            return RunUpdate(**json.loads(line))
        except (ValueError, TypeError):
            raise StorageError(
                f"{self.path}:{number}: this line is no update for MLflow; "
                "delete the line, or move the file away"
            ) from None

    def _read_position(self) -> int:
        known, position = _saved_position(self._position_path)
        self._destination = self._destination or known
        return position if known == self._destination and position <= self._size else 0

    def _save_position(self, position: int) -> None:
        place = {"destination": self._destination, "bytes": position}
        try:
            write_durably(self._position_path, json.dumps(place))
        except OSError as error:
            raise _unwritable(self._position_path, error) from None
        self._position = position


class Courier(threading.Thread):
    """Delivers an outbox in the background; never raises, and tries less often while it fails.

    Args:
        outbox: what is delivered.
        deliver: how.
        prepare: comes before; raises StorageError if that is in vain.

    Attributes:
        last_error: why the last attempt failed; empty if it did not.
    """

    def __init__(
        self, outbox: Outbox, deliver: Deliver, prepare: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(name="mhray-mlflow", daemon=True)
        self.last_error = ""
        self._outbox = outbox
        self._deliver = deliver
        self._prepare = prepare
        self._closing = threading.Event()
        self._deadline = 0.0

    def run(self) -> None:
        """Deliver until closed, then until nothing waits or the deadline has passed."""
        pause = PAUSE
        while not self._closing.wait(pause):
            pause = PAUSE if self._delivers() else min(2 * pause, LONGEST_PAUSE)
        while not self._delivers() and time.monotonic() < self._deadline:
            time.sleep(PAUSE)

    def close(self, deadline_seconds: float) -> None:
        """Wait until all is delivered, but no longer than the deadline."""
        self._deadline = time.monotonic() + deadline_seconds
        self._closing.set()
        self.join(deadline_seconds)

    def _delivers(self) -> bool:
        try:
            self._prepare()
            self._outbox.deliver(self._deliver)
        except (StorageError, OSError) as error:
            self.last_error = str(error)
        else:
            self.last_error = ""
        return not self.last_error


def last_destination(path: Path) -> str:
    """To where the outbox at a path was delivered last; empty if it never was."""
    return _saved_position(path.with_name(f"{path.name}.position"))[0]


def _saved_position(path: Path) -> tuple[str, int]:
    if not path.is_file():
        return "", 0
    try:
        saved = json.loads(path.read_bytes())
        return str(saved["destination"]), int(saved["bytes"])
    except (ValueError, KeyError, TypeError):
        return "", 0


def _whole_lines(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    size = 0
    with path.open("rb") as file:
        for line in file:
            size += len(line) if line.endswith(b"\n") else 0
    return size


def _unwritable(path: Path, error: OSError) -> StorageError:
    if is_full(error):
        return full_disk(path.parent)
    reason = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(
        f"storage: {path} cannot be written ({reason}); free space there, or write a directory "
        "that you may write to"
    )
