"""What every subclass of MultiheadDatasetBase does: a suite of tests that a new one inherits.

A test module of a new format needs a class with one method::

    class TestMyDataset(MultiheadDatasetContract):
        def make(self, **transforms):
            return MyDataset("some file", **transforms)

Part of the package rather than of its tests, so that formats of other projects can use it.
"""

import pickle
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import ToTensor

from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.loader import BatchLoader, InOrder, Normalisation
from mhray.data.per_sample import collate_multihead
from mhray.errors import DataFormatError, HeadMismatchError

_PIL_CHANNELS = (1, 3, 4)


class MultiheadDatasetContract(ABC):
    """The tests; :meth:`make` says of what."""

    @abstractmethod
    def make(self, **transforms: Any) -> MultiheadDatasetBase:
        """A data set of a few samples, with the ``transform`` and ``target_transform`` given."""

    @pytest.fixture
    def data(self) -> MultiheadDatasetBase:
        """The data set without transforms."""
        return self.make()

    def test_images_and_targets_are_as_many_as_the_samples(
        self, data: MultiheadDatasetBase
    ) -> None:
        assert len(data) == len(data.images) == len(data.targets) > 0
        assert data.images.dtype == np.uint8
        assert data.targets.shape == (len(data), len(data.heads))

    def test_an_item_is_an_image_between_0_and_1_and_a_target_per_head(
        self, data: MultiheadDatasetBase
    ) -> None:
        image, target = data[0]
        assert image.dtype == torch.float32
        assert tuple(image.shape) == data.get_image_shape()
        assert 0 <= image.min() <= image.max() <= 1
        assert list(target) == list(data.get_heads_config())
        assert all(value.dtype == torch.int64 and value.shape == () for value in target.values())

    def test_every_target_is_a_class_of_its_head(self, data: MultiheadDatasetBase) -> None:
        for index in range(len(data)):
            _, target = data[index]
            for head, classes in data.get_heads_config().items():
                assert 0 <= target[head] < classes

    def test_an_item_shares_no_memory_with_the_data(self, data: MultiheadDatasetBase) -> None:
        before = data.images[0].copy()
        image, target = data[0]
        image.add_(1)
        target[data.heads[0].name].add_(1)
        np.testing.assert_array_equal(data.images[0], before)
        assert data[0][1][data.heads[0].name] == int(data.targets[0, 0])

    def test_an_index_counts_from_either_end_and_no_further(
        self, data: MultiheadDatasetBase
    ) -> None:
        assert torch.equal(data[-1][0], data[len(data) - 1][0])
        for beyond in (len(data), -len(data) - 1):
            with pytest.raises(IndexError):
                data[beyond]
        # No data set has an iterator: the error is what ends a loop, of which types know nothing.
        items: Any = data
        assert len(list(items)) == len(data)

    def test_a_transform_receives_what_torchvision_gives(self, data: MultiheadDatasetBase) -> None:
        received = self.make(transform=lambda image: image)[0][0]
        channels, height, width = data.get_image_shape()
        pixels = np.asarray(received).reshape(height, width, channels)
        np.testing.assert_array_equal(pixels, data.images[0].transpose(1, 2, 0))
        assert isinstance(received, Image.Image) == (channels in _PIL_CHANNELS)

    def test_a_transform_may_change_the_image_it_receives(self) -> None:
        changed = self.make(transform=_blacken)
        before = changed.images.copy()
        assert not np.asarray(changed[0][0]).any()
        np.testing.assert_array_equal(changed.images, before)

    def test_a_tensor_made_by_torchvision_is_the_image_without_a_transform(
        self, data: MultiheadDatasetBase
    ) -> None:
        torch.testing.assert_close(self.make(transform=ToTensor())[0][0], data[0][0])

    def test_a_target_transform_receives_all_targets(self, data: MultiheadDatasetBase) -> None:
        _, target = self.make(target_transform=dict.keys)[0]
        assert list(target) == list(data.get_heads_config())

    def test_another_transform_shares_the_samples(self, data: MultiheadDatasetBase) -> None:
        other = data.with_transform(lambda _: "seen")
        assert other[0][0] == "seen"
        assert data.transform is None
        assert other.images is data.images

    def test_the_class_distribution_counts_every_sample(self, data: MultiheadDatasetBase) -> None:
        for head, counts in data.get_class_distribution().items():
            assert list(counts) == list(range(data.get_heads_config()[head]))
            assert sum(counts.values()) == len(data)

    def test_every_head_is_described(self, data: MultiheadDatasetBase) -> None:
        for head, classes in data.get_heads_config().items():
            info = data.get_parameter_info(head)
            assert info["max"] - info["min"] + 1 == classes
            assert {"description", "scale"} < info.keys()
        with pytest.raises(HeadMismatchError, match="the data has no such head"):
            data.get_parameter_info("no such head")

    def test_the_statistics_have_the_names_of_the_format(self, data: MultiheadDatasetBase) -> None:
        found = data.get_dataset_statistics()
        assert found["num_samples"] == len(data)
        assert found["image_shape"] == data.get_image_shape()
        assert found["heads_config"] == data.get_heads_config()
        assert found["class_distribution"] == data.get_class_distribution()
        assert len(found["channel_mean"]) == len(found["channel_std"]) == data.get_image_shape()[0]
        for observed in found["parameter_statistics"].values():
            assert observed["min"] <= observed["max"]
            assert 1 <= observed["num_distinct"] <= len(data)

    def test_a_plain_loader_batches_items(self, data: MultiheadDatasetBase) -> None:
        loader = DataLoader(data, batch_size=2, collate_fn=collate_multihead)
        images, targets = next(iter(loader))
        assert tuple(images.shape[1:]) == data.get_image_shape()
        assert {head: len(column) for head, column in targets.items()} == dict.fromkeys(
            data.get_heads_config(), len(images)
        )

    def test_whole_batches_hold_what_the_items_hold(self, data: MultiheadDatasetBase) -> None:
        channels = data.get_image_shape()[0]
        as_it_is = Normalisation((0.0,) * channels, (1.0,) * channels)
        loader = BatchLoader(data, np.arange(len(data)), len(data), as_it_is, sampler=InOrder())
        images, targets = next(iter(loader))
        for index in range(len(data)):
            image, target = data[index]
            torch.testing.assert_close(images[index], image)
            assert {head: column[index] for head, column in targets.items()} == target

    def test_a_class_that_its_head_lacks_is_refused_with_the_origin_of_the_sample(
        self, data: MultiheadDatasetBase
    ) -> None:
        head, last = data.heads[0], len(data) - 1
        origin = ", ".join(f"{k} {v}" for k, v in data._get_sample_metadata(last).items())
        data.targets = data.targets.astype(np.int64)
        for wrong in (-1, head.num_classes):
            data.targets[last, 0] = wrong
            with pytest.raises(DataFormatError) as error:
                data._check_targets()
            assert str(error.value) == (
                f"{origin}: head {head.name}: found the class {wrong}; "
                f"expected 0 to {head.num_classes - 1}"
            )

    def test_a_worker_receives_the_same_samples(self, data: MultiheadDatasetBase) -> None:
        arrived = pickle.loads(pickle.dumps(data))
        np.testing.assert_array_equal(arrived.images, data.images)
        np.testing.assert_array_equal(arrived.targets, data.targets)

    def test_the_origin_of_every_sample_is_told(self, data: MultiheadDatasetBase) -> None:
        origins = [data._get_sample_metadata(index) for index in range(len(data))]
        assert all(origins)
        assert len({tuple(origin.items()) for origin in origins}) == len(data)


def _blacken(image: Any) -> Any:
    if isinstance(image, Image.Image):
        image.paste(0, (0, 0, *image.size))
    else:
        image[...] = 0
    return image
