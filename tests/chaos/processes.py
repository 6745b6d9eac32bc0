"""Who belongs to an attacked sweep, and what it left behind, as /proc tells it.

Every process of a sweep inherits an environment variable of the harness's. So nothing else on the
machine is ever mistaken for a part of it, and a stray is found whoever its parent is by now.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

MARK = "MHRAY_CHAOS"
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Process:
    """A process, and the words of its command line."""

    pid: int
    words: tuple[str, ...]

    @property
    def title(self) -> str:
        """What Ray calls it, or its program."""
        return Path(self.words[0]).name if self.words else "?"


def marked(mark: str) -> list[Process]:
    """The living processes that inherited this mark."""
    line = f"{MARK}={mark}".encode()
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            if line not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue  # it ended in between
        found.append(Process(int(folder.name), tuple(word for word in words if word)))
    return found


def kill(processes: list[Process]) -> None:
    """SIGKILL, by process id."""
    for process in processes:
        try:
            os.kill(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def strays(mark: str, patience: float) -> list[Process]:
    """The marked processes that still live after so many seconds."""
    wait_until(lambda: not marked(mark), patience)
    return marked(mark)


def shared_memory() -> frozenset[str]:
    """The files in shared memory now.

    Folders are left out: an MLflow server makes one for its own jobs, and a killed one leaves it.
    """
    return frozenset(path.name for path in SHARED_MEMORY.iterdir() if path.is_file())


def unowned(names: frozenset[str]) -> list[str]:
    """Those of these files in shared memory that no living process has open or mapped."""
    held = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            held |= _held_by(folder)
    return sorted(name for name in names if str(SHARED_MEMORY / name) not in held)


def wait_until(happened: Callable[[], bool], seconds: float) -> bool:
    """Look often, for so long; whether it happened."""
    end = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def _held_by(folder: Path) -> set[str]:
    try:
        mapped = {line.split()[-1] for line in (folder / "maps").read_text().splitlines()}
        opened = {str(link.readlink()) for link in (folder / "fd").iterdir()}
    except OSError:
        return set()
    return {name for name in mapped | opened if name.startswith(str(SHARED_MEMORY))}
