"""Pickle batches rewritten as raw records, in place, such that no crash can lose a sample.

Everything is written and read back in a hidden directory first. Then each batch is put beside its
pickle, and only then is the pickle renamed. Readers prefer a pickle to raw records, so that at any
moment the directory reads as it did before.
"""

import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mhray.data.batches import RAW_SUFFIX, TEST, TRAIN, batch_path, is_missing, open_split
from mhray.data.header import find_header, read_header
from mhray.data.mapped import remove_copies
from mhray.data.records import Split
from mhray.data.writing import write_raw_batch
from mhray.durable import flush
from mhray.errors import StorageError

KEPT_SUFFIX = ".pickle"


@dataclass(frozen=True)
class RawBatch:
    """A batch of raw records.

    Attributes:
        samples: how many were rewritten; 0 if the batch was raw before.
    """

    path: Path
    samples: int


def rewrite_as_raw(data_dir: Path) -> tuple[RawBatch, ...]:
    """The batches of a directory, all of them raw now; a pickle is kept as ``<name>.pickle``.

    Raises:
        DataNotFoundError: the directory, its header or both batches are missing.
        DataFormatError: something in it is not what the format says; nothing was changed.
        StorageError: it cannot be written, or files that are there already are in the way.
    """
    read_header(data_dir)
    names = [name for name in (TRAIN, TEST) if not is_missing(data_dir, name)]
    pickles = [name for name in names or [TRAIN] if batch_path(data_dir, name).name == name]
    for name in pickles:
        _refuse_kept(data_dir / f"{name}{KEPT_SUFFIX}")
    samples = _rewrite(data_dir, pickles) if pickles else {}
    return tuple(RawBatch(data_dir / f"{name}{RAW_SUFFIX}", samples.get(name, 0)) for name in names)


def _refuse_kept(kept: Path) -> None:
    if kept.exists():
        raise StorageError(
            f"{kept}: exists, and is never written over; move it to another directory"
        )


def _rewrite(data_dir: Path, names: list[str]) -> dict[str, int]:
    with _place_in(data_dir) as place:
        samples = {name: _write_checked(data_dir, name, place) for name in names}
        for name in names:
            pickle = data_dir / name
            (place / f"{name}{RAW_SUFFIX}").replace(data_dir / f"{name}{RAW_SUFFIX}")
            # The records' new name has to be on the disk before the pickle's goes.
            flush(data_dir)
            pickle.rename(data_dir / f"{name}{KEPT_SUFFIX}")
            # The mapped copy of a pickle is of no use without it.
            remove_copies(pickle)
    return samples


@contextmanager
def _place_in(data_dir: Path) -> Iterator[Path]:
    """A hidden directory with the header, that is removed in the end."""
    try:
        with TemporaryDirectory(prefix=".raw.", dir=data_dir) as place:
            header = find_header(data_dir)
            shutil.copy(str(header), place)
            yield Path(place)
    except OSError as error:
        raise StorageError(
            f"{data_dir}: cannot be written ({os.strerror(error.errno or 0)}); "
            "make room there, or copy it to a directory that you may write to"
        ) from None


def _write_checked(data_dir: Path, name: str, place: Path) -> int:
    """Write one batch in ``place``; the number of its samples."""
    header, _, split = open_split(data_dir, name)
    draft, raw = (directory / f"{name}{RAW_SUFFIX}" for directory in (place, data_dir))
    write_raw_batch(draft, header, split)
    if not _are_equal(split, open_split(place, name)[2]):
        raise StorageError(
            f"{draft}: reads unlike {data_dir / name}; check the disk, and try again"
        )
    if raw.exists() and not filecmp.cmp(raw, draft, shallow=False):
        raise StorageError(
            f"{raw}: holds something else than {name} beside it, which is what readers read; "
            "remove one of them"
        )
    return len(split)


def _are_equal(one: Split, other: Split) -> bool:
    """Whether two splits hold the same, compared a few images at a time."""
    return (
        one.ids == other.ids
        and np.array_equal(one.values, other.values)
        and all(
            np.array_equal(one.images[start : start + 1024], other.images[start : start + 1024])
            for start in range(0, len(one), 1024)
        )
    )
