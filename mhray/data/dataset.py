"""One split as a PyTorch data set: an image and one target per head, and the split's statistics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from typing_extensions import override

from mhray.data.batches import TEST, TRAIN, batch_path, open_split
from mhray.data.header import Header, Layout
from mhray.data.header_rules import LARGEST_BYTE
from mhray.data.implications import implications
from mhray.data.records import Bytes
from mhray.data.statistics import channel_statistics
from mhray.errors import DataFormatError, no_such_head
from mhray.heads import Head, Implication, heads_config

Targets = NDArray[np.integer[Any]]
Transform = Callable[[Any], Any]

# Channels that PIL can hold as one byte each; other images reach a transform as arrays.
_PIL_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


class MultiheadDatasetBase(Dataset[tuple[Any, Any]], ABC):
    """Images with one target per head.

    A subclass for another file format reads its file, hands over the arrays, and says how its
    labels are read. Without a transform an item is a float32 tensor ``(C, H, W)`` in [0, 1] and a
    dict of 0-d int64 tensors. A transform receives what torchvision's own data sets give it: a PIL
    image, or an array ``(H, W, C)`` where PIL has no mode for the channels.

    Attributes:
        images: uint8 ``(samples, channels, height, width)``.
        targets: whole numbers of any type, ``(samples, heads)``.
        heads: in the order of the columns of ``targets``.
    """

    def __init__(
        self,
        images: Bytes,
        raw_labels: NDArray[Any],
        heads: tuple[Head, ...],
        transform: Transform | None = None,
        target_transform: Transform | None = None,
    ) -> None:
        super().__init__()
        self.images = images
        self.heads = heads
        self.transform = transform
        self.target_transform = target_transform
        self.targets = self._parse_labels(raw_labels)
        self._check_targets()

    @abstractmethod
    def _parse_labels(self, raw_labels: NDArray[Any]) -> Targets:
        """The class index of every head, ``(samples, heads)``, of all labels at once."""

    @abstractmethod
    def _get_sample_metadata(self, idx: int) -> Mapping[str, object]:
        """Where a sample comes from, for messages: its file and its place there, say."""

    def __len__(self) -> int:
        return len(self.images)

    @override
    def __getitem__(self, idx: int) -> tuple[Any, Any]:
        image, target = self._image(idx), self._target(idx)
        return image, self.target_transform(target) if self.target_transform else target

    def with_transform(self, transform: Transform | None) -> Self:
        """The same samples under another transform, sharing the arrays."""
        other = object.__new__(type(self))
        other.__dict__ = self.__dict__ | {"transform": transform}
        return other

    def get_image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``, in pixels."""
        _, channels, height, width = self.images.shape
        return channels, height, width

    def get_heads_config(self) -> dict[str, int]:
        """The number of classes of each head, by name."""
        return heads_config(self.heads)

    def get_parameter_info(self, name: str) -> dict[str, Any]:
        """Description, min, max and scale of a head's values as they were before they were classes.

        Raises:
            HeadMismatchError: with the names that there are.
        """
        head = next((head for head in self.heads if head.name == name), None)
        if head is None:
            raise no_such_head("get_parameter_info", name, [head.name for head in self.heads])
        return {
            "description": "",
            "min": head.smallest_value,
            "max": head.smallest_value + head.num_classes - 1,
            "scale": head.scale,
        }

    @cached_property
    def implied_heads(self) -> dict[str, tuple[Implication, ...]]:
        """Of each head that others imply, how its class follows from theirs."""
        return implications(self.targets, self.heads)

    def get_class_distribution(self) -> dict[str, dict[int, int]]:
        """How many samples each class of each head has."""
        return {
            head.name: dict(enumerate(np.bincount(column, minlength=head.num_classes).tolist()))
            for head, column in zip(self.heads, self.targets.T, strict=True)
        }

    def get_dataset_statistics(self) -> dict[str, Any]:
        """Size, heads, balance and pixel statistics of the split, under the format's own names."""
        mean, std = channel_statistics(self.images)
        return {
            "num_samples": len(self),
            "image_shape": self.get_image_shape(),
            "heads_config": self.get_heads_config(),
            "class_distribution": self.get_class_distribution(),
            "parameter_statistics": {
                head.name: _observed(column, head.smallest_value)
                for head, column in zip(self.heads, self.targets.T, strict=True)
            },
            "channel_mean": mean,
            "channel_std": std,
        }

    def _image(self, idx: int) -> Any:
        stored = self.images[idx]
        if self.transform is None:
            return torch.from_numpy(stored.astype(np.float32)).div_(LARGEST_BYTE)
        # Always a copy: those of an interleaved file would be the file's own, which none may write.
        pixels = np.array(stored.transpose(1, 2, 0), order="C")
        mode = _PIL_MODES.get(len(stored))
        if mode is None:
            return self.transform(pixels)
        return self.transform(Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels))

    def _target(self, idx: int) -> dict[str, Tensor]:
        target = torch.from_numpy(self.targets[idx].astype(np.int64))
        return {head.name: value for head, value in zip(self.heads, target, strict=True)}

    def _check_targets(self) -> None:
        classes = [head.num_classes for head in self.heads]
        wrong = (self.targets < 0) | (self.targets >= classes)
        if not wrong.any():
            return
        sample, column = (int(position) for position in np.argwhere(wrong)[0])
        where = ", ".join(f"{k} {v}" for k, v in self._get_sample_metadata(sample).items())
        raise DataFormatError(
            f"{where}: head {self.heads[column].name}: found the class "
            f"{self.targets[sample, column]}; expected 0 to {classes[column] - 1}"
        )


class CIFAR100MHDataset(MultiheadDatasetBase):
    """One split of a CIFAR-100-MH directory, checked whole when it is opened.

    Args:
        root: the directory.
        train: ``train_batch`` or, if false, ``test_batch``.
        transform: receives a PIL image; see the base class.
        target_transform: receives ``{head: target}``.
        strict: false for data sets in the wild; see :func:`mhray.data.header.read_header`.
        image_layout: overrules the header's ``image_layout``.

    Raises:
        DataNotFoundError: the directory, its header or the batch is missing.
        DataFormatError: any of them is not what the format says.
    """

    def __init__(
        self,
        root: Path | str,
        train: bool = True,  # noqa: FBT001, FBT002
        transform: Transform | None = None,
        target_transform: Transform | None = None,
        strict: bool = True,  # noqa: FBT001, FBT002
        image_layout: Layout | None = None,
    ) -> None:
        name = TRAIN if train else TEST
        self._open = partial(open_split, root, name, strict=strict, layout=image_layout)
        header, heads, split = self._open()
        self.path = batch_path(Path(root), name)
        self.header: Header = header
        super().__init__(split.images, split.values, heads, transform, target_transform)

    def __getstate__(self) -> dict[str, Any]:
        """No samples: whoever unpickles the data set, a loader's worker say, maps the file."""
        return {key: value for key, value in vars(self).items() if key not in ("images", "targets")}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        _, heads, split = self._open()
        if heads != self.heads:
            raise DataFormatError(f"{self.path}: was changed since; open the data set anew")
        self.images, self.targets = split.images, self._parse_labels(split.values)

    @override
    def get_parameter_info(self, name: str) -> dict[str, Any]:
        known = self.header.parameter(name)
        return super().get_parameter_info(name) | {
            "description": known.description if known else ""
        }

    @override
    def _parse_labels(self, raw_labels: NDArray[Any]) -> Targets:
        # In one byte each, and where nothing is to be subtracted in no memory of our own.
        smallest = np.array([head.smallest_value for head in self.heads], np.uint8)
        targets: Targets = raw_labels - smallest if smallest.any() else raw_labels
        return targets

    @override
    def _get_sample_metadata(self, idx: int) -> Mapping[str, object]:
        return {"file": self.path, "sample": idx}


def create_cifar100mh_datasets(
    root: Path | str,
    transform: Transform | None = None,
    target_transform: Transform | None = None,
    *,
    strict: bool = True,
    image_layout: Layout | None = None,
) -> tuple[CIFAR100MHDataset, CIFAR100MHDataset]:
    """The train and the test split of a directory."""
    train, test = (
        CIFAR100MHDataset(root, is_train, transform, target_transform, strict, image_layout)
        for is_train in (True, False)
    )
    return train, test


def _observed(column: Targets, smallest: int) -> dict[str, int]:
    return {
        "min": int(column.min()) + smallest,
        "max": int(column.max()) + smallest,
        "num_distinct": len(np.unique(column)),
    }
