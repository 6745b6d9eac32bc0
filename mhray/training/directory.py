"""The directory of a run or a study, made before anything else is begun."""

import os
from pathlib import Path

from mhray.errors import StorageError


def make_directory(directory: Path) -> None:
    """Make a directory that can be written, or say which one cannot.

    Raises:
        StorageError: it cannot be made, or nothing can be written in it.
    """
    probe = directory / ".writable"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise StorageError(
            f"{directory}: cannot be written ({os.strerror(error.errno or 0)}); "
            "write a directory that you may write to"
        ) from None
