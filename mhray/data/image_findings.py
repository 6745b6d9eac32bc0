"""What is suspicious in the images: copies, blank pictures, channels that say nothing.

One pass over the pixels, some megabytes at a time; what stays is 16 bytes of hash per image.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.records import Bytes

_CHUNK = 8 * 2**20  # bytes of pixels looked at at a time
_HASH_BYTES = 16


def findings_in_images(
    train: MultiheadDatasetBase, test: MultiheadDatasetBase | None = None
) -> Iterator[str]:
    """One sentence per finding. Images are copies of each other if every byte is equal."""
    scan = _scan(train.images)
    yield from _repeated(scan.hashes, train)
    yield from _blank(scan, "train")
    yield from _idle_channels(scan)
    if test is not None:
        other = _scan(test.images)
        yield from _leaked(scan.hashes, other.hashes)
        yield from _blank(other, "test")


@dataclass(frozen=True, eq=False)
class _Scan:
    """What one pass keeps of the images of a split.

    Attributes:
        hashes: ``(samples,)``, each of the bytes of one image.
        low: the smallest value of each channel of each image, ``(samples, channels)``.
        high: the largest.
        is_grey: whether the channels of every image are equal.
    """

    hashes: NDArray[np.void]
    low: Bytes
    high: Bytes
    is_grey: bool


def _scan(images: Bytes) -> _Scan:
    samples, channels = images.shape[:2]
    low, high = (np.empty((samples, channels), np.uint8) for _ in range(2))
    hashes, is_grey = bytearray(), channels > 1
    step = max(1, _CHUNK // images[0].size)
    for start in range(0, samples, step):
        chunk = np.ascontiguousarray(images[start : start + step])
        flat = chunk.reshape(len(chunk), channels, -1)
        flat.min(axis=2, out=low[start : start + step])
        flat.max(axis=2, out=high[start : start + step])
        is_grey = is_grey and bool((flat == flat[:, :1]).all())
        for image in flat:
            hashes += hashlib.blake2b(image.data, digest_size=_HASH_BYTES).digest()
    return _Scan(np.frombuffer(hashes, f"V{_HASH_BYTES}"), low, high, is_grey)


def _repeated(hashes: NDArray[np.void], train: MultiheadDatasetBase) -> Iterator[str]:
    _, first, members = np.unique(hashes, return_index=True, return_inverse=True)
    earliest = first[members]
    (copies,) = (earliest != np.arange(len(hashes))).nonzero()
    if not len(copies):
        return
    differs = (train.targets[copies] != train.targets[earliest[copies]]).any(axis=1)
    example = copies[differs.argmax()]
    yield (
        f"train images that repeat an earlier one: {len(copies)} of {len(hashes)}, "
        f"{differs.sum()} of them with other targets ({example} is {earliest[example]})"
    )


def _leaked(train: NDArray[np.void], test: NDArray[np.void]) -> Iterator[str]:
    (leaked,) = np.isin(test, train).nonzero()
    if len(leaked):
        source = int((train == test[leaked[0]]).argmax())
        yield (
            f"test images that are in train as well: {len(leaked)} of {len(test)} "
            f"(test image {leaked[0]} is train image {source})"
        )


def _blank(scan: _Scan, split: str) -> Iterator[str]:
    (blank,) = (scan.low == scan.high).all(axis=1).nonzero()
    if len(blank):
        yield (
            f"{split} images of one colour all over: {len(blank)} of {len(scan.low)} "
            f"(the first is image {blank[0]})"
        )


def _idle_channels(scan: _Scan) -> Iterator[str]:
    low, high = scan.low.min(axis=0), scan.high.max(axis=0)
    for channel in (low == high).nonzero()[0]:
        yield f"channel {channel} is constant: {low[channel]} in all {len(scan.low)} train images"
    if scan.is_grey:
        yield f"all {len(low)} channels are equal in every train image: one of them would do"
