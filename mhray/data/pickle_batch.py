"""What the pickle of one split holds, before the header has been asked: pixels, ids and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mhray.data.records import Bytes, matrix_of, parse_records
from mhray.data.safe_pickle import parse_pickle
from mhray.errors import DataFormatError, printable

LABEL_KEYS = ("labels", "cifar100mh_labels", "multihead_labels", "vimh_labels")
SIZE_KEYS = ("height", "width", "channels")

_MOST_KEYS, _LONGEST_KEY = 20, 40  # keys, and characters of each, in a message


@dataclass(frozen=True, eq=False)
class Batch:
    """The samples of one pickle.

    Attributes:
        pixels: ``(samples, bytes per image)``, in the order in which the file has them.
        ids: the parameter ids, ascending.
        values: ``(samples, len(ids))``, as they stand in the file.
        size: what the batch itself says of height, width and channels, if anything.
    """

    pixels: Bytes
    ids: tuple[int, ...]
    values: Bytes
    size: dict[str, Any]


def parse_batch(content: bytes, path: Path) -> Batch:
    """The batch in the bytes of the file ``path``.

    Raises:
        UnsafePickleError: it names anything that plain arrays do not need.
        DataFormatError: it is no pickle of images and label records.
    """
    batch = text_keys(parse_pickle(content, path), path, "a dict with 'data' and 'labels'")
    label_key = next((key for key in LABEL_KEYS if key in batch), None)
    if "data" not in batch:
        raise DataFormatError(f"{path}: has no key 'data'; found {_listing(batch)}")
    if label_key is None:
        raise DataFormatError(
            f"{path}: has no labels; found {_listing(batch)}, "
            f"expected one of {', '.join(LABEL_KEYS)}"
        )
    pixels = matrix_of(batch["data"], path, "data")
    records = matrix_of(batch[label_key], path, label_key)
    if not len(pixels):
        raise DataFormatError(f"{path}: holds no samples; expected at least 1")
    if len(records) != len(pixels):
        raise DataFormatError(
            f"{path}: found {len(records)} label records; expected {len(pixels)}, one per image"
        )
    size = {key: batch[key] for key in SIZE_KEYS if key in batch}
    return Batch(pixels, *parse_records(records, path), size)


def text_keys(found: object, path: Path, expected: str) -> Mapping[str, object]:
    """The items of a dict whose keys are texts, which Python 2 wrote as bytes.

    Raises:
        DataFormatError: it is no dict; ``expected`` is what the message asks for.
    """
    if not isinstance(found, dict):
        raise DataFormatError(f"{path}: holds a {type(found).__name__}; expected {expected}")
    return {
        key.decode("latin1") if isinstance(key, bytes) else key: value
        for key, value in found.items()
        if isinstance(key, str | bytes)
    }


def _listing(batch: Mapping[str, object]) -> str:
    keys = [printable(key, _LONGEST_KEY) for key in sorted(batch)]
    more = ", ..." if len(keys) > _MOST_KEYS else ""
    return f"the keys {', '.join(keys[:_MOST_KEYS])}{more}" if keys else "an empty dict"
