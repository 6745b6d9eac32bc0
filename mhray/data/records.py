"""What a batch file holds, checked: flat images and label records, without a loop over samples.

Lists are turned into bytes at C speed and arrays are checked whole. Only when something is wrong is
the first sample that is at fault looked for, so that the message can name it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mhray.data.header import Header
from mhray.data.header_rules import LARGEST_BYTE
from mhray.data.safe_pickle import PickledArray
from mhray.errors import DataFormatError

Bytes = NDArray[np.uint8]

# A list may name one row many times; past this, such a file would grow when it is spread out.
_LARGEST_GROWTH, _ALWAYS_ALLOWED = 2, 64 * 2**20
_LONGEST_NUMBER = 64  # bits, shown digit by digit


@dataclass(frozen=True, eq=False)
class Split:
    """The samples of one batch file.

    Attributes:
        images: ``(samples, channels, height, width)``; not contiguous if the file is interleaved.
        ids: the parameter ids, ascending.
        values: ``(samples, len(ids))``, as they stand in the file.
    """

    images: Bytes
    ids: tuple[int, ...]
    values: Bytes

    def __len__(self) -> int:
        return len(self.images)


def matrix_of(rows: object, path: Path, key: str) -> Bytes:
    """The rows as one ``(samples, bytes)`` matrix.

    Raises:
        DataFormatError: they are no rows of bytes, or not all of one length.
    """
    found = _unwrapped(rows)
    if isinstance(found, list | tuple):
        return _joined([_unwrapped(row) for row in found], path, key)
    if not isinstance(found, np.ndarray):
        raise DataFormatError(
            f"{path}: {key!r} is of type {type(found).__name__}; write an array or a list of lists"
        )
    if found.ndim != 2:  # noqa: PLR2004
        raise DataFormatError(
            f"{path}: {key!r} is an array of shape {found.shape}; "
            "expected (samples, values per sample)"
        )
    return _as_bytes(found, path, key)


def images_of(flat: Bytes, header: Header, path: Path) -> Bytes:
    """The images ``(samples, channels, height, width)`` of a matrix of pixels: a view.

    Raises:
        DataFormatError: there are none, or they are not of the header's size.
    """
    if not len(flat):
        raise DataFormatError(f"{path}: holds no samples; expected at least 1")
    if flat.shape[1] != header.image_bytes:
        raise DataFormatError(
            f"{path}: sample 0: found {flat.shape[1]} pixel bytes; expected {header.height} x "
            f"{header.width} x {header.channels} = {header.image_bytes} (the header's image_size)"
        )
    size = dict(zip("CHW", header.image_shape, strict=True))
    stored = flat.reshape(len(flat), *(size[axis] for axis in header.layout))
    return stored.transpose(0, *(1 + header.layout.index(axis) for axis in "CHW"))


def parse_records(records: Bytes, path: Path) -> tuple[tuple[int, ...], Bytes]:
    """The parameter ids, ascending, and the values ``(samples, ids)`` of label records.

    Raises:
        DataFormatError: naming the first sample whose record is no record, or unlike the first.
    """
    if not records.size:
        raise DataFormatError(f"{path}: the label records are empty; expected [N] [id] [value] ...")
    heads, width = int(records[0, 0]), records.shape[1]
    if heads == 0:
        raise DataFormatError(f"{path}: sample 0: found N = 0 heads; expected 1 to 255")
    if width != 1 + 2 * heads:
        raise DataFormatError(
            f"{path}: sample 0: found a label record of {width} bytes; "
            f"expected {1 + 2 * heads}, since its N is {heads}"
        )
    if (changed := records[:, 0] != heads).any():
        sample = int(changed.argmax())
        raise DataFormatError(
            f"{path}: sample {sample}: found N = {records[sample, 0]} heads; "
            f"expected {heads}, as in sample 0"
        )
    return _sorted_by_id(records[:, 1::2], records[:, 2::2], path)


def check_range(values: Bytes, low: int, high: int, where: str) -> None:
    """Refuse values of one head, ``(samples,)``, that lie outside ``[low, high]``.

    ``where`` opens the message: file and head.
    """
    outside = (values < low) | (values > high)
    if outside.any():
        sample = int(outside.argmax())
        raise DataFormatError(
            f"{where}: sample {sample}: found the value {values[sample]}; "
            f"expected {low} to {high}{_and_more(outside)}"
        )


def shown(found: object) -> str:
    """A value of a file, short enough for a message; of a container, only what kind it is.

    A container may hold itself many times over, and its text would fill the memory.

    >>> shown(-1), shown("text"), shown([[1, 2]]), shown(10**5000)
    ('-1', "'text'", 'a list', 'a number of 16610 bits')
    """
    if isinstance(found, int) and found.bit_length() > _LONGEST_NUMBER:
        return f"a number of {found.bit_length()} bits"
    if isinstance(found, int | float | str | bytes | None):
        return f"{found!r:.40}"
    return f"a {type(found).__name__}"


def _unwrapped(found: object) -> object:
    return found.array if isinstance(found, PickledArray) else found


def _joined(rows: Sequence[object], path: Path, key: str) -> Bytes:
    arrays = [row for row in rows if isinstance(row, np.ndarray)]
    plain = [row for row in rows if isinstance(row, list | tuple | bytes | memoryview)]
    if len(arrays) + len(plain) != len(rows) or (arrays and plain):
        raise DataFormatError(
            f"{path}: {key!r} holds rows of several kinds "
            f"({', '.join(sorted({type(row).__name__ for row in rows}))}); write lists of numbers"
        )
    if not rows:
        raise DataFormatError(f"{path}: {key!r} holds no samples; expected at least 1")
    lengths = np.fromiter((np.size(a) for a in arrays), int) if arrays else _lengths(plain)
    if (ragged := lengths != lengths[0]).any():
        sample = int(ragged.argmax())
        raise DataFormatError(
            f"{path}: sample {sample}: {key!r} holds {lengths[sample]} values; "
            f"expected {lengths[0]}, as in sample 0{_and_more(ragged)}"
        )
    dtype = np.result_type(*{array.dtype for array in arrays}) if arrays else np.dtype(np.uint8)
    total, different = int(lengths.sum()), len({id(row) for row in rows})
    _check_growth(total * dtype.itemsize, len(rows) / different, path, key)
    if arrays:
        return _as_bytes(_stacked(arrays, dtype), path, key)
    joined = bytearray()
    try:
        for row in plain:
            joined += bytes(row)
    except (TypeError, ValueError, OverflowError):
        raise _not_a_byte(plain, path, key) from None
    return np.frombuffer(joined, np.uint8).reshape(len(plain), -1)


def _check_growth(size: int, repeats: float, path: Path, key: str) -> None:
    if size > _ALWAYS_ALLOWED and repeats > _LARGEST_GROWTH:
        raise DataFormatError(
            f"{path}: {key!r} names the same rows again and again, {size} bytes in all, each of "
            f"them {repeats:.0f} times; write each sample once"
        )


def _stacked(arrays: Sequence[NDArray[Any]], dtype: np.dtype[Any]) -> NDArray[Any]:
    """As numpy.stack does it, without a view of each row: their views may outgrow the memory."""
    stacked = np.empty((len(arrays), arrays[0].size), dtype)
    for row, array in zip(stacked, arrays, strict=True):
        row[:] = array.reshape(-1)
    return stacked


def _lengths(rows: Sequence[Sequence[object]]) -> NDArray[np.int_]:
    return np.fromiter(map(len, rows), int, len(rows))


def _as_bytes(array: NDArray[Any], path: Path, key: str) -> Bytes:
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype.kind not in "iu":
        raise DataFormatError(f"{path}: {key!r} is an array of {array.dtype}; expected uint8")
    outside = (array < 0) | (array > LARGEST_BYTE)
    if outside.any():
        sample = int(outside.any(axis=1).argmax())
        worst = array[sample][outside[sample]][0]
        raise _outside(path, sample, key, worst.item())
    return array.astype(np.uint8)


def _not_a_byte(rows: Sequence[Sequence[object]], path: Path, key: str) -> DataFormatError:
    """The error for the first value that is no byte."""
    positions = chain.from_iterable(
        ((index, value) for value in row) for index, row in enumerate(rows)
    )
    sample, worst = next(
        (index, value)
        for index, value in positions
        if not isinstance(value, int) or not 0 <= value <= LARGEST_BYTE
    )
    return _outside(path, sample, key, worst)


def _outside(path: Path, sample: int, key: str, found: object) -> DataFormatError:
    return DataFormatError(
        f"{path}: sample {sample}: found {shown(found)} in {key!r}; "
        f"expected whole numbers, 0 to {LARGEST_BYTE}"
    )


def _sorted_by_id(ids: Bytes, values: Bytes, path: Path) -> tuple[tuple[int, ...], Bytes]:
    first = np.sort(ids[0])
    if (repeated := first[1:] == first[:-1]).any():
        raise DataFormatError(
            f"{path}: sample 0: found the id {first[int(repeated.argmax())]} twice in its label "
            "record; expected each id once"
        )
    if (ids == first).all():
        return tuple(first.tolist()), values
    if (ids == ids[0]).all():
        return tuple(first.tolist()), values[:, np.argsort(ids[0])]
    order = np.argsort(ids, axis=1)
    changed = (np.take_along_axis(ids, order, axis=1) != first).any(axis=1)
    if changed.any():
        sample = int(changed.argmax())
        raise DataFormatError(
            f"{path}: sample {sample}: found the ids {np.sort(ids[sample]).tolist()}; "
            f"expected {first.tolist()}, as in sample 0{_and_more(changed)}"
        )
    return tuple(first.tolist()), np.take_along_axis(values, order, axis=1)


def _and_more(wrong: NDArray[np.bool_]) -> str:
    count = int(wrong.sum()) - 1
    return f" ({count} more samples are wrong)" if count else ""
