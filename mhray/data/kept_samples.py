"""Samples kept as the deterministic part of their transform leaves them.

An evaluation sees the same images in every epoch, so whatever a transform does before its first
random step need be done but once. The rule is that of MONAI's ``CacheDataset``. torchvision does
not say of a transform whether it is random: the steps known to be deterministic are listed here,
and anything else counts as random.
"""

import copy
from collections.abc import Sequence
from typing import Any, Self

from torch.utils.data import Dataset
from torchvision import transforms
from torchvision.transforms import v2
from typing_extensions import override

from mhray.data.dataset import MultiheadDatasetBase, Transform
from mhray.data.partition import Rows

_DETERMINISTIC = frozenset(
    {
        transforms.CenterCrop,
        transforms.ConvertImageDtype,
        transforms.Grayscale,
        transforms.Normalize,
        transforms.Pad,
        transforms.PILToTensor,
        transforms.Resize,
        transforms.ToPILImage,
        transforms.ToTensor,
        v2.CenterCrop,
        v2.ConvertImageDtype,
        v2.Grayscale,
        v2.Normalize,
        v2.Pad,
        v2.PILToTensor,
        v2.Resize,
        v2.ToDtype,
        v2.ToImage,
        v2.ToPILImage,
        v2.ToPureTensor,
    }
)


class KeptSamples(Dataset[tuple[Any, Any]]):
    """The chosen samples of a data set, the beginning of its transform done in advance.

    Made before a loader starts its workers, which then share what is kept.
    """

    def __init__(self, dataset: MultiheadDatasetBase, rows: Rows) -> None:
        self._dataset, self._rows = dataset, rows
        first, self._rest = split_transform(dataset.transform)
        prepared = dataset.with_transform(transforms.Compose(first))
        self._items = {row: prepared[row] for row in rows.tolist()}

    def __reduce__(self) -> tuple[type[Self], tuple[MultiheadDatasetBase, Rows]]:
        """What it was made of: a worker that is no fork would be sent a file for each tensor."""
        return type(self), (self._dataset, self._rows)

    def __len__(self) -> int:
        return len(self._items)

    @override
    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        image, target = self._items[idx]
        if self._rest:
            # A step may work in place.
            image = copy.deepcopy(image)
        for step in self._rest:
            image = step(image)
        return image, target


def split_transform(
    transform: Transform | None,
) -> tuple[Sequence[Transform], Sequence[Transform]]:
    """The steps before the first that may be random, and the others."""
    steps = _flat(transform)
    kept = next((i for i, step in enumerate(steps) if type(step) not in _DETERMINISTIC), len(steps))
    return steps[:kept], steps[kept:]


def _flat(transform: Transform | None) -> Sequence[Transform]:
    """The steps of a transform, those of nested ``Compose`` included."""
    if transform is None:
        return []
    if not isinstance(transform, transforms.Compose | v2.Compose):
        return [transform]
    return [step for part in transform.transforms for step in _flat(part)]
