"""Sizes of memory as people write them, `2GiB`; bytes everywhere else."""

import os
import re
from pathlib import Path

_UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_SIZE = re.compile(rf"([0-9]+(?:\.[0-9]+)?) ?({'|'.join(_UNITS)})")

_LIMIT_OF_A_CONTAINER = Path("/sys/fs/cgroup/memory.max")

WHAT_FITS = "a size such as 512MiB or 2GiB, or null"


def bytes_of(size: str | None) -> int | None:
    """The bytes of a size; None if it is none.

    >>> bytes_of("2GiB"), bytes_of("1.5 KiB"), bytes_of("2 gigs"), bytes_of("0B")
    (2147483648, 1536, None, None)
    """
    found = _SIZE.fullmatch(size or "")
    return (int(float(found[1]) * _UNITS[found[2]]) or None) if found else None


def as_size(count: float) -> str:
    """Bytes in the largest unit of which there is a whole one, rounded down.

    >>> as_size(2**31), as_size(1536), as_size(3)
    ('2 GiB', '1.5 KiB', '3 B')
    """
    unit = max(
        (each for each in _UNITS if _UNITS[each] <= count), key=list(_UNITS).index, default="B"
    )
    return f"{int(count / _UNITS[unit] * 100) / 100:g} {unit}"


def memory_of_this_machine() -> int:
    """Bytes that the processes of this machine, or of this container, may have in all."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _LIMIT_OF_A_CONTAINER.read_text(encoding="ascii").strip()
    except OSError:
        return machine
    return min(machine, int(limit)) if limit.isdigit() else machine
