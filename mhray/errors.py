"""Every exception that mhray raises on purpose.

MhrayError
├── ConfigError              a config, an override or a study file is wrong
│   └── HeadMismatchError    something names a head that the data lack
├── DataError                a data set is wrong
│   ├── DataNotFoundError    a file or directory is missing (FileNotFoundError)
│   └── DataFormatError      a file is not what the format says (ValueError)
│       └── UnsafePickleError    a pickle asks for more than plain arrays
├── StorageError             a directory, database or port cannot be opened or written
│   ├── FullDiskError        nothing more fits; what was written is whole
│   └── NoAnswerError        a server does not answer now
├── ClusterError             a node of a cluster cannot take part in a sweep
├── StudyConflictError       the journal holds another study, or another sweep runs it
├── DivergedError            a loss became NaN or infinite
├── WorkerLostError          a process that trains is gone
├── RayLostError             Ray, which starts the trials, is gone
└── FailingTrialsError       too many trials of a sweep failed for the same reason

A message has three parts: where, what is wrong, what to write instead.
"""

import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import ParamSpec

P = ParamSpec("P")

_NEVER = r"\s'\"<>"  # what stands in no URL
_SECRETS = r"\w*(?:password|passwd|pwd|token|secret|api_?key)"


class MhrayError(Exception):
    """Catch this to catch everything that mhray raises on purpose."""


class ConfigError(MhrayError):
    """A configuration is wrong, and its author can fix it."""


class HeadMismatchError(ConfigError):
    """Something names a head that the data lack."""


class DataError(MhrayError):
    """A data set is wrong."""


class DataNotFoundError(DataError, FileNotFoundError):
    """A file or directory that a data set needs is missing."""


class DataFormatError(DataError, ValueError):
    """A file is not what the format says it should be."""


class UnsafePickleError(DataFormatError):
    """A pickle asks for more than plain arrays; nothing in it was called."""


class StorageError(MhrayError):
    """A directory, a database or a port cannot be opened or written."""


class FullDiskError(StorageError):
    """Nothing more fits on a disk. What was written is whole, and the same command goes on."""


class NoAnswerError(StorageError):
    """A server does not answer, hangs or has trouble of its own now; it may answer later."""


class ClusterError(MhrayError):
    """A node of a cluster cannot take part: other versions, or it does not see the storage."""


class StudyConflictError(MhrayError):
    """The journal holds another study under this name, or another sweep is running it."""


class DivergedError(MhrayError):
    """A loss became NaN or infinite."""


class WorkerLostError(MhrayError):
    """A process that trains is gone: killed, out of memory, or its machine lost."""


class RayLostError(MhrayError):
    """Ray, which starts the trials, is gone."""


class FailingTrialsError(MhrayError):
    """Too many trials of a sweep failed for the same reason, so it was stopped."""


def ends_in_words(command: Callable[P, int]) -> Callable[P, int]:
    """The command, which an error that is raised on purpose ends with its message and code 2."""

    @wraps(command)
    def ended(*arguments: P.args, **named: P.kwargs) -> int:
        try:
            return command(*arguments, **named)
        except MhrayError as error:
            sys.stderr.write(f"error: {without_password(str(error))}\n")
            return 2

    return ended


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What to say after "unknown ...": the closest known word, then all of them.

    >>> did_you_mean("log_unifrom", ["uniform", "log_uniform"])
    'did you mean log_uniform? (one of: uniform, log_uniform)'
    >>> did_you_mean("xyz", ["uniform", "log_uniform"])
    'one of: uniform, log_uniform'
    """
    choices = list(known)
    listing = f"one of: {', '.join(choices)}"
    closest = get_close_matches(word, choices, n=1)
    return f"did you mean {closest[0]}? ({listing})" if closest else listing


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns what the system says of a file that it cannot read into a :class:`StorageError`.

    >>> with reading(Path("train_batch")):
    ...     raise PermissionError(13, "Permission denied")
    Traceback (most recent call last):
    mhray.errors.StorageError: train_batch: cannot be read (Permission denied); make it readable
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be read ({os.strerror(error.errno or 0)}); make it readable"
        ) from None


def is_full(error: OSError) -> bool:
    """Whether a disk, or a user's part of it, is full."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


def full_disk(where: Path | str) -> FullDiskError:
    """The error for a place in which nothing more fits.

    >>> str(full_disk("studies/s")).partition(";")[0]
    'storage: studies/s is on a full disk'
    """
    return FullDiskError(
        f"storage: {where} is on a full disk; delete what you can spare there, such as checkpoints "
        "of other studies, and run the same command again"
    )


@contextmanager
def filling(directory: Path) -> Iterator[None]:
    """Turns what the system says of a full disk into a :class:`FullDiskError`."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise full_disk(directory) from None
        raise


def printable(text: str, longest: int | None = None) -> str:
    r"""A text out of a file, as a message may hold it: what a terminal would obey is escaped.

    >>> print(printable("vélocité \x1b[2J"))
    vélocité \x1b[2J
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text[:longest]
    )


def without_password(url: str) -> str:
    """A URL, or a text with URLs in it, that may be shown, logged and kept.

    >>> without_password("postgresql://me:secret@host/db, https://host/?token=secret&a=b")
    'postgresql://me:***@host/db, https://host/?token=***&a=b'
    """
    hidden = re.sub(rf"://([^{_NEVER}/@:]*):[^{_NEVER}/]*@", r"://\1:***@", url)
    return re.sub(rf"([?&](?:{_SECRETS})=)[^{_NEVER}&]+", r"\1***", hidden, flags=re.IGNORECASE)


def no_such_head(where: str, name: str, heads: Iterable[str]) -> HeadMismatchError:
    """The error for a name that is no head of the data.

    >>> print(no_such_head("model.loss_weights.lft", "lft", ["left", "right"]))
    model.loss_weights.lft: the data has no such head; did you mean left? (heads: left, right)
    """
    known = list(heads)
    listing = f"heads: {', '.join(known)}"
    closest = get_close_matches(name, known, n=1)
    hint = f"did you mean {closest[0]}? ({listing})" if closest else f"write one of the {listing}"
    return HeadMismatchError(f"{where}: the data has no such head; {hint}")
