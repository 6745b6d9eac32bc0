"""CIFAR-100-MH directories, written whole or not at all.

A directory is built under another name beside its place and then renamed. Nobody sees half of it,
and of two programs that build the same one, the first to finish wins and the other changes nothing.
Raw records are written a few images at a time, so that images that are mapped from a file may be
larger than the memory.
"""

import json
import os
import pickle
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from mhray.data.batches import RAW_SUFFIX, TEST, TRAIN, open_split
from mhray.data.header import HEADER_NAME, Header
from mhray.data.partition import Partition, Rows
from mhray.data.records import Bytes, Split
from mhray.durable import flush
from mhray.errors import DataFormatError, StorageError, reading

_BYTES_AT_A_TIME = 32 * 2**20  # of pixels
_TRUSTED_AGE = 3  # seconds, more than mapped.py asks for


def write_dataset(
    directory: Path | str,
    header: Header,
    train: Split,
    test: Split | None = None,
    *,
    raw: bool = False,
) -> None:
    """Write a data set into a directory that does not exist yet, and check it by reading it.

    The header's counts are replaced by those of the splits. ``raw`` writes raw records, which
    readers map, instead of pickles.

    Raises:
        StorageError: the directory exists, or cannot be written.
        DataFormatError: the splits do not fit the header; nothing is left.
    """
    splits = {TRAIN: train} if test is None else {TRAIN: train, TEST: test}
    lengths = {name: len(split) for name, split in splits.items()}
    with _checked_when_written(Path(directory), header, lengths) as (place, counted):
        for name, split in splits.items():
            if raw:
                write_raw_batch(place / f"{name}{RAW_SUFFIX}", counted, split)
            else:
                _write_pickle(place / name, counted, split)


def write_partition(
    directory: Path | str, header: Header, split: Split, partition: Partition
) -> None:
    """Write one split as two batches of raw records: ``partition.val`` is the test batch.

    Otherwise as :func:`write_dataset`.
    """
    parts = {TRAIN: partition.train, TEST: partition.val}
    lengths = {name: len(rows) for name, rows in parts.items()}
    with _checked_when_written(Path(directory), header, lengths) as (place, counted):
        for name, rows in parts.items():
            write_raw_batch(place / f"{name}{RAW_SUFFIX}", counted, split, rows)


def write_raw_batch(path: Path, header: Header, split: Split, rows: Rows | None = None) -> None:
    """Write a split, or some rows of it, as raw records; on the disk when this returns."""
    chosen = np.arange(len(split)) if rows is None else rows
    step = max(1, _BYTES_AT_A_TIME // header.image_bytes)
    with path.open("wb") as file:
        for start in range(0, len(chosen), step):
            some = chosen[start : start + step]
            piece = Split(split.images[some], split.ids, split.values[some])
            file.write(np.concatenate([_records(piece), _flat(piece, header)], axis=1).data)
    flush(path)


def refuse_existing(directory: Path) -> None:
    """Raise the error of :func:`write_dataset` early: before a download, say.

    Raises:
        StorageError: the directory exists.
    """
    with reading(directory):
        exists = directory.exists()
    if exists:
        raise StorageError(
            f"{directory}: exists, and is never written over; write another directory, or remove it"
        )


@contextmanager
def _checked_when_written(
    directory: Path, header: Header, lengths: Mapping[str, int]
) -> Iterator[tuple[Path, Header]]:
    """A place that holds a header with these counts; its batches are read before it is renamed."""
    counted = replace(
        header,
        n_samples=sum(lengths.values()),
        train_samples=lengths[TRAIN],
        test_samples=lengths.get(TEST, 0),
    )
    with _renamed_when_whole(directory) as place:
        text = json.dumps(counted.to_json(), indent=1, ensure_ascii=False)
        (place / HEADER_NAME).write_text(f"{text}\n", encoding="utf-8")
        yield place, counted
        for path in place.iterdir():
            # Nobody else knows the place: what is copied of these files can be trusted at once.
            os.utime(path, (path.stat().st_mtime - _TRUSTED_AGE,) * 2)
        for name in lengths:
            open_split(place, name)


@contextmanager
def _renamed_when_whole(directory: Path) -> Iterator[Path]:
    refuse_existing(directory)
    place = directory.with_name(f".{directory.name}.{uuid4().hex}")
    try:
        place.mkdir(parents=True)
        yield place
        for path in (*place.iterdir(), place):
            flush(path)
        place.rename(directory)
        flush(directory.parent)
    except DataFormatError as error:
        raise DataFormatError(str(error).replace(str(place), str(directory))) from None
    except OSError as error:
        refuse_existing(directory)
        raise StorageError(
            f"{directory}: cannot be written ({os.strerror(error.errno or 0)}); "
            "write a directory that you may write to"
        ) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_pickle(path: Path, header: Header, split: Split) -> None:
    batch = {
        "data": _flat(split, header),
        "labels": _records(split),
        "height": header.height,
        "width": header.width,
        "channels": header.channels,
    }
    with path.open("wb") as file:
        pickle.dump(batch, file, protocol=4)


def _flat(split: Split, header: Header) -> Bytes:
    stored = split.images.transpose(0, *(1 + "CHW".index(axis) for axis in header.layout))
    return np.ascontiguousarray(stored).reshape(len(split), -1)


def _records(split: Split) -> Bytes:
    heads = len(split.ids)
    records = np.empty((len(split), 1 + 2 * heads), np.uint8)
    records[:, 0] = heads
    records[:, 1::2] = split.ids
    records[:, 2::2] = split.values
    return records
