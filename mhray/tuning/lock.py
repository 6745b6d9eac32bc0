"""A study for one sweep alone: a lock in its directory, and a heartbeat in its journal.

The system ends a lock with its process, however that ends, so one is never stale. But a journal on
a server may be open from other directories, and some shared file systems know no locks. There the
journal says who holds it, and whoever has not said so for a while holds it no more. Clocks differ
and are put forward and back, so that is only believed once this process has listened in vain.
"""

import fcntl
import getpass
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from mhray.errors import MhrayError, StudyConflictError

BEAT = 20.0  # seconds
STALE = 120.0  # seconds
LISTENED_BEATS = 3


@dataclass(frozen=True)
class Holder:
    """Who runs a study.

    Attributes:
        key: of this start.
        time: seconds since 1970, when it last said so.
    """

    owner: str
    host: str
    process: int
    key: str
    time: float

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, started by {self.owner}"

    def has_died(self) -> bool:
        """Whether it has ended for certain."""
        return self.host == socket.gethostname() and not _is_alive(self.process)

    def silence(self, now: float) -> float:
        """Seconds since it last said so, if the clocks agree; never negative."""
        return abs(now - self.time)


class HeldJournal(Protocol):
    """The part of a journal that says who holds it."""

    def holder(self) -> dict[str, Any]:
        """Who holds it; empty if nobody does."""

    def hold(self, holder: Mapping[str, Any]) -> None:
        """Record who holds it."""


@contextmanager
def locked(directory: Path) -> Iterator[bool]:
    """A study's directory for one sweep alone; gives whether its file system can promise that.

    Raises:
        StudyConflictError: another sweep runs the study.
    """
    with (directory / "lock").open("a+", encoding="utf-8") as file:
        is_sure = _is_locked(file, directory)
        if is_sure:
            file.truncate(0)
            file.write(str(_myself()))
            file.flush()
        yield is_sure


@contextmanager
def held(
    journal: HeldJournal, name: str, say: Callable[[str], None], beat: float = BEAT
) -> Iterator[None]:
    """A journal for one sweep alone, wherever else it is open; ``say`` tells what is waited for.

    Raises:
        StudyConflictError: another sweep runs the study.
    """
    refuse_held(journal, name, say, beat)
    myself = _myself()
    journal.hold(asdict(myself))
    over = threading.Event()
    thread = threading.Thread(target=_beat, args=(journal, myself, over, beat), daemon=True)
    thread.start()
    try:
        # Of two that start at once, the last to write holds it.
        if not _is_held_by(journal, myself):
            refuse_held(journal, name, say, beat)
        yield
    finally:
        over.set()
        thread.join()
        # If the journal cannot be written, the sweep has ended for that reason.
        with suppress(MhrayError):
            if _is_held_by(journal, myself):
                journal.hold({})


def is_running(directory: Path) -> bool:
    """Whether a sweep holds a study's directory now, as far as its file system tells."""
    try:
        with (directory / "lock").open("rb") as file:
            # Shared, so that two who ask do not see each other.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def refuse_held(
    journal: HeldJournal, name: str, say: Callable[[str], None], beat: float = BEAT
) -> None:
    """Refuses a journal that another sweep holds; listens for it, if it seems to be gone.

    Raises:
        StudyConflictError: and this is that sweep.
    """
    found = journal.holder()
    if not found or (other := Holder(**found)).has_died():
        return
    where, silence, wait = f"journal: {name}", other.silence(time.time()), ""
    if silence <= STALE:
        wait = f" (if it has died, for {STALE - silence:.0f} s)"
    elif _is_silent(journal, found, LISTENED_BEATS * beat, lambda words: say(f"{where}: {words}")):
        return
    raise _conflict(where, str(other), wait)


def _is_silent(
    journal: HeldJournal, found: Mapping[str, Any], seconds: float, say: Callable[[str], None]
) -> bool:
    """Whether a holder says nothing for so long, or that it is done, by no clock but this one's."""
    who = f"{Holder(**found)}, seems to be gone"
    say(f"{who}; it is taken over if it says nothing for {seconds:g} s")
    time.sleep(seconds)
    return journal.holder() in (found, {})


def _is_locked(file: TextIO, directory: Path) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise _conflict(str(directory), file.read().strip()) from None
    except OSError:
        return False
    return True


def _beat(journal: HeldJournal, myself: Holder, over: threading.Event, beat: float) -> None:
    while not over.wait(beat):
        _say_so(journal, myself, os.kill)


def _say_so(journal: HeldJournal, myself: Holder, kill: Callable[[int, int], None]) -> None:
    try:
        if _is_held_by(journal, myself):
            journal.hold(asdict(replace(myself, time=time.time())))
        else:
            # This machine slept, and another sweep took over: two would write the same trials.
            kill(os.getpid(), signal.SIGTERM)
    except MhrayError:
        # The sweep itself ends when it cannot write its journal.
        return


def _is_held_by(journal: HeldJournal, myself: Holder) -> bool:
    return journal.holder().get("key") == myself.key


def _conflict(where: str, other: str, wait: str = "") -> StudyConflictError:
    return StudyConflictError(
        f"{where}: another sweep runs this study ({other}); wait for it{wait}, "
        "or write another name"
    )


def _myself() -> Holder:
    return Holder(_owner(), socket.gethostname(), os.getpid(), uuid.uuid4().hex, time.time())


def _owner() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
