"""What libraries have to say goes to a log file; a command's own lines stay on standard output.

The file descriptors are moved, not Python's ``sys.stdout``: Ray's processes and C++ code inherit
the former and know nothing of the latter.
"""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from typing_extensions import override


class Lines(io.TextIOWrapper):
    """Text for a person who may have left: what nobody reads any more is dropped."""

    @override
    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    @override
    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


@contextmanager
def chatter_to(log: Path) -> Iterator[TextIO]:
    """What was standard output; from here on that and standard error append to ``log``."""
    _flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    try:
        with Lines(os.fdopen(os.dup(saved[0]), "wb"), "utf-8", line_buffering=True) as out:
            yield out
    finally:
        _flush()
        for target, descriptor in zip((1, 2), saved, strict=True):
            os.dup2(descriptor, target)
            os.close(descriptor)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
