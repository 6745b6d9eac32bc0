"""A directory for one process, which leaves nothing behind for long, however the process ends."""

import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX, HELD = "mhray-trial-", ".held"


@contextmanager
def scratch(name: str) -> Iterator[Path]:
    """A directory among the system's temporary ones, removed at the end.

    A process that is killed removes nothing. So each looks first for what others have left: the
    system has ended the lock of whoever is no more.
    """
    _remove_left()
    with tempfile.TemporaryDirectory(prefix=f"{PREFIX}{name}-") as folder:
        directory = Path(folder)
        draft = directory / f"{HELD}.draft"
        with draft.open("x") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # It has its name once it is locked, so that nobody takes a new one for an old one.
            draft.rename(directory / HELD)
            yield directory


def _remove_left() -> None:
    for held in Path(tempfile.gettempdir()).glob(f"{PREFIX}*/{HELD}"):
        # Held by a living process, removed meanwhile, or another user's.
        with suppress(OSError), held.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(held.parent)
