"""The batches of a CIFAR-100-MH directory: read, checked whole, and named by their heads.

Both forms are read: a pickle of each split, or raw records, which stay mapped to the file. Whatever
is wrong is found here, when a data set is opened, with file, sample, what was found and what was
expected; no error waits for the third epoch. NumPy only: workers read heads without PyTorch.
"""

import hashlib
import logging
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mhray.data.header import Header, Layout, Parameter, find_header, read_header
from mhray.data.implications import implying_heads
from mhray.data.mapped import Original, keep_mapped, open_mapped
from mhray.data.pickle_batch import Batch, parse_batch
from mhray.data.records import Split, check_range, images_of, parse_records, shown
from mhray.data.statistics import evenness, largest_share
from mhray.errors import ConfigError, DataFormatError, DataNotFoundError, reading
from mhray.heads import Head

TRAIN, TEST = "train_batch", "test_batch"
RAW_SUFFIX = ".bin"

# A head whose classes are less evenly shared than this is skewed: two classes of 63 % and 37 %, or
# the triangle of the sum of two digits, 0.93.
_SKEWED = 0.95

_log = logging.getLogger(__name__)


def open_split(
    data_dir: Path | str, name: str, *, strict: bool = True, layout: Layout | None = None
) -> tuple[Header, tuple[Head, ...], Split]:
    """The header, the heads and the samples of ``train_batch`` or ``test_batch``, checked.

    A ``layout`` overrules the header's ``image_layout``.

    Raises:
        DataNotFoundError: the directory, its header or this batch is missing.
        DataFormatError: any of them is not what the format says.
        StorageError: any of them cannot be read.
    """
    directory = Path(data_dir)
    header = read_header(directory, strict=strict)
    if layout is not None:
        if layout not in ("CHW", "HWC"):
            raise ConfigError(f"image_layout: found {layout!r}; write CHW or HWC")
        header = replace(header, layout=layout)
    split = _read_split(directory, name, header)
    _check_count(directory, name, len(split), header, strict=strict)
    heads = _heads_of(directory, header, name, split)
    _log.debug(
        "%s: %d samples, heads %s, layout %s",
        batch_path(directory, name),
        len(split),
        ", ".join(f"{head.name} ({head.num_classes})" for head in heads),
        header.layout,
    )
    return header, heads, split


def read_heads(data_dir: Path | str, *, strict: bool = True) -> tuple[Head, ...]:
    """The heads of a directory, by ascending parameter id."""
    return describe_directory(data_dir, strict=strict)[0]


def describe_directory(
    data_dir: Path | str, *, strict: bool = True
) -> tuple[tuple[Head, ...], tuple[int, int, int]]:
    """The heads and the image shape ``(channels, height, width)`` of a directory."""
    directory = Path(data_dir)
    find_header(directory)
    name = TEST if is_missing(directory, TRAIN) else TRAIN
    header, heads, _ = open_split(directory, name, strict=strict)
    return heads, header.image_shape


def fingerprint(data_dir: Path | str) -> str:
    """The sha256 of header, labels and pixels, the same for both forms of a batch."""
    directory = Path(data_dir)
    digest = hashlib.sha256()
    for name in (TRAIN, TEST):
        if is_missing(directory, name):
            continue
        header, heads, split = open_split(directory, name)
        digest.update(repr((name, replace(header, layout="CHW"), heads, split.ids)).encode())
        digest.update(split.values.tobytes())
        for start in range(0, len(split), 4096):
            digest.update(split.images[start : start + 4096].tobytes())
    return digest.hexdigest()


def batch_path(data_dir: Path, name: str) -> Path:
    """The file of a split: the pickle, or else the raw records.

    Raises:
        DataNotFoundError: there is neither.
    """
    for path in (data_dir / name, data_dir / f"{name}{RAW_SUFFIX}"):
        if path.is_file():
            return path
    raise DataNotFoundError(
        f"{data_dir}: has no {name} and no {name}{RAW_SUFFIX}; write one of them"
    )


def is_missing(data_dir: Path, name: str) -> bool:
    """Whether a split has neither form of batch."""
    return not any((data_dir / f"{name}{suffix}").is_file() for suffix in ("", RAW_SUFFIX))


def _read_split(directory: Path, name: str, header: Header) -> Split:
    path = batch_path(directory, name)
    read = _read_raw if path.suffix == RAW_SUFFIX else _read_pickle
    return read(path, header)


def _check_count(directory: Path, name: str, found: int, header: Header, *, strict: bool) -> None:
    expected, why = _expected_count(directory, name, found, header)
    if expected == found:
        return
    path = batch_path(directory, name)
    message = f"{path}: found {found} samples; expected {expected} ({why})"
    if strict:
        raise DataFormatError(message)
    warnings.warn(message, stacklevel=3)


def _expected_count(directory: Path, name: str, found: int, header: Header) -> tuple[int, str]:
    """How many samples the header leaves to a batch, and by which of its keys."""
    parts = {
        TRAIN: ("train_samples", header.train_samples),
        TEST: ("test_samples", header.test_samples),
    }
    key, count = parts.pop(name)
    ((other, (other_key, other_count)),) = parts.items()
    if count is not None:
        return count, f"{key} in the header"
    if header.n_samples is None:
        return found, ""
    if other_count is not None:
        return header.n_samples - other_count, f"n_samples - {other_key} in the header"
    if is_missing(directory, other):
        return min(found, header.n_samples), "n_samples in the header"
    others = len(_read_split(directory, other, header))
    return header.n_samples - others, f"n_samples in the header, less the {others} of {other}"


def _read_pickle(path: Path, header: Header) -> Split:
    """The samples of a pickle, mapped wherever a copy of it can be kept."""
    mapped = open_mapped(path)
    if mapped is not None:
        return _split_of(mapped, header, path)
    original = Original.read(path)
    batch = parse_batch(original.content, path)
    split = _split_of(batch, header, path)
    kept = keep_mapped(original, batch)
    return split if kept is None else _split_of(kept, header, path)


def _split_of(batch: Batch, header: Header, path: Path) -> Split:
    for key, found in batch.size.items():
        if type(found) is not int or found != getattr(header, key):
            raise DataFormatError(
                f"{path}: {key} is {shown(found)}; expected {getattr(header, key)} (the header's "
                "image_size)"
            )
    return Split(images_of(batch.pixels, header, path), batch.ids, batch.values)


def _read_raw(path: Path, header: Header) -> Split:
    size = path.stat().st_size
    if size == 0:
        raise DataFormatError(f"{path}: holds no samples; expected at least 1")
    with reading(path):
        mapped = np.memmap(path, np.uint8, mode="r").view(np.ndarray)
    label_bytes = 1 + 2 * int(mapped[0])
    record = label_bytes + header.image_bytes
    if size % record:
        raise DataFormatError(
            f"{path}: sample {size // record}: found {size % record} bytes; expected {record} "
            f"({label_bytes} of labels, {header.image_bytes} of pixels)"
        )
    rows = mapped.reshape(-1, record)
    ids, values = parse_records(rows[:, :label_bytes], path)
    return Split(images_of(rows[:, label_bytes:], header, path), ids, values)


def _heads_of(directory: Path, header: Header, name: str, split: Split) -> tuple[Head, ...]:
    names = [header.name_of(parameter_id) for parameter_id in split.ids]
    path = batch_path(directory, name)
    for index, head in enumerate(names):
        if head in names[:index]:
            raise DataFormatError(
                f"{path}: the ids {split.ids[names.index(head)]} and {split.ids[index]} are both "
                f"named {head!r}; write another name in the header"
            )
    mappings = [header.parameter(head) for head in names]
    for index, mapping in enumerate(mappings):
        if mapping is not None:
            where = f"{path}: head {mapping.name}"
            check_range(split.values[:, index], mapping.minimum, mapping.maximum, where)
    largest = _largest_values(directory, header, name, split, mappings)
    found = [
        Head(
            mapping.name,
            mapping.maximum - mapping.minimum + 1,
            mapping.minimum,
            mapping.class_names,
            mapping.scale,
        )
        if mapping
        else Head(head, largest[index] + 1)
        for index, (head, mapping) in enumerate(zip(names, mappings, strict=True))
    ]
    return tuple(
        replace(
            head,
            is_skewed=evenness(column, head.num_classes) < _SKEWED,
            largest_share=largest_share(column),
            implied_by=tuple(names[index] for index in implying),
        )
        for head, column, implying in zip(
            found, split.values.T, implying_heads(split.values), strict=True
        )
    )


def _largest_values(
    directory: Path, header: Header, name: str, split: Split, mappings: Sequence[Parameter | None]
) -> list[int]:
    """The largest value of each head: in both batches, if a head has no mapping to say so."""
    largest = split.values.max(axis=0)
    other_name = TEST if name == TRAIN else TRAIN
    if all(mappings) or is_missing(directory, other_name):
        return [int(value) for value in largest]
    other = _read_split(directory, other_name, header)
    if other.ids != split.ids:
        raise DataFormatError(
            f"{batch_path(directory, other_name)}: found the ids {list(other.ids)}; expected "
            f"{list(split.ids)}, as in {batch_path(directory, name).name}"
        )
    return [int(value) for value in np.maximum(largest, other.values.max(axis=0))]
