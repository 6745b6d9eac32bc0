"""CIFAR-100-MH directories, written whole or not at all.

A directory is built under another name beside its place and then renamed. Nobody sees half of it,
and of two programs that build the same one, the first to finish wins and the other changes nothing.
"""

import json
import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import numpy as np

from mhray.data.batches import RAW_SUFFIX, TEST, TRAIN, open_split
from mhray.data.header import HEADER_NAME, Header
from mhray.data.records import Bytes, Split
from mhray.errors import DataFormatError, StorageError


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
    counts = [len(split) for split in (train, test) if split is not None]
    counted = replace(
        header,
        n_samples=sum(counts),
        train_samples=len(train),
        test_samples=0 if test is None else len(test),
    )
    write = _write_raw if raw else _write_pickle
    with _renamed_when_whole(Path(directory)) as place:
        text = json.dumps(counted.to_json(), indent=1, ensure_ascii=False)
        (place / HEADER_NAME).write_text(f"{text}\n", encoding="utf-8")
        for name, split in splits.items():
            write(place, name, split, counted)
        for name in splits:
            open_split(place, name)


@contextmanager
def _renamed_when_whole(directory: Path) -> Iterator[Path]:
    refusal = StorageError(
        f"{directory}: exists, and is never written over; write another directory, or remove it"
    )
    if directory.exists():
        raise refusal
    place = directory.with_name(f".{directory.name}.{uuid4().hex}")
    try:
        place.mkdir(parents=True)
        yield place
        place.rename(directory)
    except DataFormatError as error:
        raise DataFormatError(str(error).replace(str(place), str(directory))) from None
    except OSError as error:
        if directory.exists():
            raise refusal from None
        raise StorageError(
            f"{directory}: cannot be written ({os.strerror(error.errno or 0)}); "
            "write a directory that you may write to"
        ) from None
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _write_pickle(place: Path, name: str, split: Split, header: Header) -> None:
    batch = {
        "data": _flat(split, header),
        "labels": _records(split),
        "height": header.height,
        "width": header.width,
        "channels": header.channels,
    }
    with (place / name).open("wb") as file:
        pickle.dump(batch, file, protocol=4)


def _write_raw(place: Path, name: str, split: Split, header: Header) -> None:
    rows = np.concatenate([_records(split), _flat(split, header)], axis=1)
    (place / f"{name}{RAW_SUFFIX}").write_bytes(rows.tobytes())


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
