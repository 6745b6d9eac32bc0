"""The directory of a run or a study, made before anything else is begun."""

import os
from pathlib import Path

from mhray.errors import StorageError


def refuse_links(directory: Path) -> None:
    """Refuse a study's directory, or one of its trials', that is a link to somewhere else.

    Checkpoints are deleted there, and a study that came from elsewhere may not choose where.

    Raises:
        StorageError: with the first link.
    """
    for path in (directory, directory / "checkpoints", *directory.glob("checkpoints/*")):
        if path.is_symlink():
            raise StorageError(
                f"storage: {path} is a link to {path.readlink()}, outside of the study; remove it, "
                "or write a storage there"
            )


def make_directory(directory: Path) -> None:
    """Make a directory that can be written, or say which one cannot.

    Raises:
        StorageError: it cannot be made, or nothing can be written in it.
    """
    probe = directory / ".writable"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink(missing_ok=True)  # by another rank of the same run
    except OSError as error:
        raise StorageError(
            f"{directory}: cannot be written ({os.strerror(error.errno or 0)}); "
            "write a directory that you may write to"
        ) from None
