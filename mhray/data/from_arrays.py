"""A CIFAR-100-MH directory of what people have: an array of images, and a table of labels.

The array stays in its file and is copied a piece at a time, so that it may be larger than memory.
The result is raw records, which readers map, and planar as in CIFAR whatever the array's layout.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhray.data.header import Header, Layout
from mhray.data.label_table import LabelTable, encode, read_label_table
from mhray.data.partition import stratified
from mhray.data.records import Bytes, Split
from mhray.data.writing import refuse_existing, write_dataset, write_partition
from mhray.errors import ConfigError, DataFormatError, DataNotFoundError, reading

# In these numbers an axis is taken for the channels of grey, grey and alpha, RGB or RGBA images.
_CHANNELS = (1, 2, 3, 4)
# What NumPy is known to raise on damaged files, whose first line it reads as a Python literal.
_DAMAGE = (
    ArithmeticError,
    EOFError,
    MemoryError,
    RecursionError,
    SyntaxError,
    TokenError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True)
class ArrayFiles:
    """The files of some images and their labels: a ``.npy`` and a CSV."""

    images: Path
    labels: Path


def build_from_arrays(
    directory: Path,
    train: ArrayFiles,
    test: ArrayFiles | None = None,
    *,
    test_fraction: float = 0.1,
    seed: int = 0,
    layout: Layout | None = None,
    scales: Mapping[str, str],
) -> None:
    """Write images ``(n, H, W)``, ``(n, H, W, C)`` or ``(n, C, H, W)`` and their labels.

    Without ``test`` files, a share of the images becomes the test batch, the same share of every
    class of the first head; none if ``test_fraction`` is 0. ``scales`` are those of the heads that
    are not categorical.

    Raises:
        StorageError: the directory exists or cannot be written, or a file cannot be read.
        DataNotFoundError: a file is missing.
        DataFormatError: a file is not what it should be.
        ConfigError: the layout cannot be told, or ``scales`` does not fit the labels.
    """
    refuse_existing(directory)
    header, splits = _read([train] if test is None else [train, test], layout, scales)
    header = replace(header, dataset_name=directory.name)
    if test is not None or test_fraction == 0:
        write_dataset(directory, header, *splits, raw=True)
        return
    (split,) = splits
    if len(split) == 1:
        raise DataFormatError(
            f"{train.images}: holds 1 image; expected at least 2, for training and for the test "
            "batch (or write --test-fraction 0)"
        )
    partition = stratified(split.values[:, 0], test_fraction, seed)
    write_partition(directory, header, split, partition)


def _read(
    files: Sequence[ArrayFiles], layout: Layout | None, scales: Mapping[str, str]
) -> tuple[Header, list[Split]]:
    tables = [read_label_table(one.labels) for one in files]
    images = [_open_images(one.images, layout) for one in files]
    for one, table, array in zip(files, tables, images, strict=True):
        _check_rows(one, table, array)
        _check_size(one, array, files[0], images[0])
    parameters, values = encode(tables, scales)
    names = tuple(parameter.name for parameter in parameters)
    ids = tuple(range(len(names)))
    _, channels, height, width = images[0].shape
    splits = [Split(array, ids, rows) for array, rows in zip(images, values, strict=True)]
    return Header("", height, width, channels, names, parameters), splits


def _open_images(path: Path, layout: Layout | None) -> Bytes:
    """The images ``(samples, channels, height, width)``, mapped to the file."""
    stored = _map_array(path)
    if stored.dtype != np.uint8:
        raise DataFormatError(
            f"{path}: is an array of {stored.dtype}; write uint8, 0 to 255: "
            "(255 * x).round().astype(np.uint8) for an x in [0, 1]"
        )
    if stored.ndim not in {3, 4} or 0 in stored.shape:
        raise DataFormatError(
            f"{path}: is an array of shape {_text(stored.shape)}; expected images x height x "
            "width, images x height x width x channels, or images x channels x height x width"
        )
    if stored.ndim == 3:  # noqa: PLR2004
        return stored[:, None]
    return stored if _is_planar(stored, path, layout) else stored.transpose(0, 3, 1, 2)


def _map_array(path: Path) -> NDArray[Any]:
    if not path.exists():
        raise DataNotFoundError(f"{path}: there is no such file; write the path of a .npy file")
    try:
        with reading(path):
            # Unlike np.load, this opens nothing but arrays: no pickles and no zip files.
            return np.lib.format.open_memmap(path, mode="r").view(np.ndarray)
    except _DAMAGE as error:
        raise DataFormatError(
            f"{path}: is not a whole .npy file ({error}); write it with np.save"
        ) from None


def _is_planar(stored: NDArray[Any], path: Path, layout: Layout | None) -> bool:
    if layout is not None:
        return layout == "CHW"
    first, last = (stored.shape[axis] in _CHANNELS for axis in (1, 3))
    if first == last:
        raise ConfigError(
            f"{path}: is an array of shape {_text(stored.shape)}, in which the "
            "channels could be the second axis or the last; write --layout CHW or --layout HWC"
        )
    return first


def _check_rows(files: ArrayFiles, table: LabelTable, images: Bytes) -> None:
    if len(table) != len(images):
        raise DataFormatError(
            f"{files.labels}: found {len(table)} rows of labels; expected {len(images)}, one per "
            f"image of {files.images}"
        )


def _check_size(files: ArrayFiles, images: Bytes, first: ArrayFiles, first_images: Bytes) -> None:
    if images.shape[1:] != first_images.shape[1:]:
        found, expected = (_text(array.shape[1:]) for array in (images, first_images))
        raise DataFormatError(
            f"{files.images}: holds images of {found} (channels x height x width); "
            f"expected {expected}, as in {first.images}"
        )


def _text(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))
