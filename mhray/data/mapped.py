"""The mapped copy of a pickle: what it holds, as a file that later processes map into memory.

A pickle must be read whole, by every process that wants any of it. So the first one that has read
and checked it leaves a copy: all pixels, then all values, then one line of JSON. Those that map the
copy share its pages, and touch only what they use. It lies beside the pickle, hidden, or in the
user's cache directory where the data set is not writable. It is a copy and no more: whoever finds
it damaged, or made of another file than the pickle that is there now, makes a new one.
"""

import hashlib
import logging
import os
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from platformdirs import user_cache_path
from pydantic import BaseModel, ConfigDict, Field

from mhray.data.header_rules import LARGEST_BYTE
from mhray.data.pickle_batch import Batch
from mhray.durable import replacing
from mhray.errors import reading

_LONGEST_LINE = 64 * 1024  # bytes; 255 ids need less than two thousand
# Some file systems keep times to two seconds (FAT). A file that was written less than that before
# its copy could have been written again since, and look the same.
_COARSEST_TIME = 2_000_000_000  # nanoseconds
_LONGEST_BUILD = 3600  # seconds

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Original:
    """A pickle as it was read.

    Attributes:
        sha256: of the content; it takes as long as parsing and copying do, and beside them.
    """

    path: Path
    content: bytes
    mtime_ns: int
    sha256: Future[str]

    @classmethod
    def read(cls, path: Path) -> Self:
        """The file as it is now; its time is taken first, so that a later change is noticed.

        Raises:
            StorageError: it cannot be read.
        """
        with reading(path), path.open("rb") as file:
            mtime_ns = os.fstat(file.fileno()).st_mtime_ns
            content = file.read()
        pool = ThreadPoolExecutor(1)
        digest = pool.submit(_sha256, content)
        pool.shutdown(wait=False)
        return cls(path, content, mtime_ns, digest)


def open_mapped(path: Path) -> Batch | None:
    """The batch of a pickle, mapped, if there is a copy of the file as it is now."""
    for place in _places(path):
        batch = _open(place, path)
        if batch is not None:
            _log.debug("%s: mapped from %s", path, place)
            return batch
    return None


def keep_mapped(original: Original, batch: Batch) -> Batch | None:
    """Leave a mapped copy of a batch, and open it; None if there is no place for one."""
    for place in _places(original.path):
        try:
            _write(place, original, batch)
        except OSError as error:
            _log.debug("%s: cannot be written (%s)", place, os.strerror(error.errno or 0))
        else:
            _log.debug("%s: copied to %s", original.path, place)
            return _open(place, original.path)
    _log.warning(
        "%s: there is no room for a mapped copy beside it or in %s; every process that opens it "
        "will read it whole",
        original.path,
        user_cache_path("mhray"),
    )
    return None


def remove_copies(path: Path) -> None:
    """Remove what was copied of a pickle, wherever it lies."""
    for place in _places(path):
        place.unlink(missing_ok=True)


class _Line(BaseModel):
    """The last line of a copy: what stands before it, and of which file it is a copy."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    version: Annotated[int, Field(ge=1, le=1)] = 1
    samples: Annotated[int, Field(ge=1)]
    image_bytes: Annotated[int, Field(ge=1)]
    ids: Annotated[list[Annotated[int, Field(ge=0, le=LARGEST_BYTE)]], Field(min_length=1)]
    size: dict[str, int]
    file_bytes: int
    mtime_ns: int
    sha256: str


def _places(path: Path) -> Iterator[Path]:
    yield path.with_name(f".{path.name}.mapped")
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()
    yield user_cache_path("mhray") / f"{name}.mapped"


def _open(place: Path, path: Path) -> Batch | None:
    """The batch in a copy, unless that is missing, damaged, or a copy of something else."""
    try:
        memory = np.memmap(place, np.uint8, mode="r").view(np.ndarray)
        last = memory[-_LONGEST_LINE:].tobytes().rpartition(b"\n")[2]
        line = _Line.model_validate_json(last)
        is_current = _is_current(place, line, path)
    except (OSError, ValueError):
        return None
    middle = line.samples * line.image_bytes
    end = middle + line.samples * len(line.ids)
    is_whole = len(memory) == end + len(b"\n") + len(last)
    if not (is_current and is_whole and line.ids == sorted(set(line.ids))):
        return None
    return Batch(
        pixels=memory[:middle].reshape(line.samples, line.image_bytes),
        ids=tuple(line.ids),
        values=memory[middle:end].reshape(line.samples, len(line.ids)),
        size=line.size,
    )


def _is_current(place: Path, line: _Line, path: Path) -> bool:
    now = path.stat()
    if (line.file_bytes, line.mtime_ns) != (now.st_size, now.st_mtime_ns):
        return False
    if place.stat().st_mtime_ns - now.st_mtime_ns > _COARSEST_TIME:
        return True
    with path.open("rb") as file:
        is_same = hashlib.file_digest(file, "sha256").hexdigest() == line.sha256
    if is_same:
        # From now on the times can be trusted. Another user's copy stays as it is.
        with suppress(OSError):
            os.utime(place)
    return is_same


def _write(place: Path, original: Original, batch: Batch) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    with replacing(place, is_shared=True) as draft, draft.open("xb") as file:
        for part in (batch.pixels, batch.values):
            file.write(np.ascontiguousarray(part).data)
        file.write(f"\n{_line_of(original, batch).model_dump_json()}".encode())
    _remove_old_drafts(place)


def _remove_old_drafts(place: Path) -> None:
    """Remove what builders that were killed left behind; nobody builds for an hour."""
    for draft in place.parent.glob(f"{place.name}.*"):
        with suppress(OSError):
            if draft.stat().st_mtime < time.time() - _LONGEST_BUILD:
                draft.unlink()


def _line_of(original: Original, batch: Batch) -> _Line:
    return _Line(
        samples=len(batch.pixels),
        image_bytes=batch.pixels.shape[1],
        ids=list(batch.ids),
        size=batch.size,
        file_bytes=len(original.content),
        mtime_ns=original.mtime_ns,
        sha256=original.sha256.result(),
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
