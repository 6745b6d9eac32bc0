"""Files that are whole or not there, whatever ends the process or the machine meanwhile.

A file is written beside its place, flushed to the disk and renamed. A rename without the flush may
survive a power cut that the content does not.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replacing(path: Path, *, is_shared: bool = False) -> Iterator[Path]:
    """A draft beside ``path``, which takes its place once the block has ended and it is flushed.

    If the block raises, ``path`` is as before and the draft is gone. What a kill leaves of a draft
    is written over by the next one.

    Args:
        path: the file; its directory is there, and it is not hidden unless it is shared.
        is_shared: other processes may write it at the same time, so that each has its own draft.

    Raises:
        OSError: it cannot be written.
    """
    own = f".{uuid4().hex}" if is_shared else ""
    draft = path.with_name(f".{path.name.removeprefix('.')}{own}")
    try:
        yield draft
        flush(draft)
        draft.replace(path)
        flush(path.parent)
    finally:
        draft.unlink(missing_ok=True)


def write_durably(path: Path, text: str, *, is_shared: bool = False) -> None:
    """Write a text file, whole or not at all; see :func:`replacing`."""
    with replacing(path, is_shared=is_shared) as draft:
        draft.write_text(text, encoding="utf-8")


def flush(path: Path) -> None:
    """Have a file's content, or the names in a directory, on the disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
