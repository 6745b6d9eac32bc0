"""Train, validation and test of one CIFAR-100-MH directory, for a Lightning Trainer.

The train batch is split into train and validation, stratified by the first head; the test batch is
test. Batches are loaded whole and normalised by the statistics of the train part. A split for which
a torchvision transform is given goes sample by sample through PyTorch's own DataLoader instead.
"""

import logging
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning import LightningDataModule
from torch.utils.data import Dataset
from typing_extensions import override

from mhray.data.augment import Step, augmentation_of, check_augment
from mhray.data.batches import TEST, is_missing
from mhray.data.dataset import CIFAR100MHDataset, Transform
from mhray.data.kept_samples import KeptSamples, split_transform
from mhray.data.loader import BatchLoader, InOrder, KeptBatches, Normalisation, Sampler, Shuffled
from mhray.data.partition import Partition, Rows, stratified
from mhray.data.per_sample import PerSampleLoader
from mhray.data.ranks import current_rank, run_seed
from mhray.data.resident import Resident, ResidentLoader
from mhray.data.sources import build_if_missing, nothing_at, source_named
from mhray.data.statistics import channel_statistics
from mhray.errors import ConfigError, DataFormatError
from mhray.heads import Head, heads_config

Loader = BatchLoader | KeptBatches | PerSampleLoader

_log = logging.getLogger(__name__)


class CIFAR100MHDataModule(LightningDataModule):
    """The data of one run.

    Args:
        data_dir: a CIFAR-100-MH directory.
        batch_size: images of all workers together.
        num_workers: of the DataLoader of a split with a transform; so are the next two.
        train_transform: takes a PIL image to a tensor, normalisation included.
        val_fraction: of the train batch, in (0, 1).
        seed: fixes the split into train and validation, and nothing else.
        source: what ``prepare_data`` builds if ``data_dir`` does not exist.
        augment: for training, ``{crop: pixels, flip: true, rotate: degrees}``.
        cache: keep in memory what is the same in every pass over validation and test: normalised
            batches or, under a transform, what it does before its first random step.
        on_device: on a GPU, all images lie in its memory, and whole batches are made there.

    Raises:
        ConfigError: an argument is out of range, or two contradict each other.
    """

    def __init__(
        self,
        data_dir: Path | str,
        batch_size: int = 64,
        num_workers: int = 0,
        pin_memory: bool = False,  # noqa: FBT001, FBT002
        persistent_workers: bool = False,  # noqa: FBT001, FBT002
        train_transform: Transform | None = None,
        val_transform: Transform | None = None,
        test_transform: Transform | None = None,
        val_fraction: float = 0.1,
        seed: int = 0,
        source: str | None = None,
        augment: Mapping[str, Any] | None = None,
        cache: bool = False,  # noqa: FBT001, FBT002
        on_device: bool = True,  # noqa: FBT001, FBT002
    ) -> None:
        super().__init__()
        self.data_dir = Path(data_dir)
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.persistent_workers = persistent_workers
        self.train_transform = train_transform
        self.val_transform = val_transform
        self.test_transform = test_transform
        self.val_fraction = val_fraction
        self.seed = seed
        self.source = source
        self.augment: dict[str, Any] = dict(augment or {})
        self.cache = cache
        self.on_device = on_device
        self._resident: dict[Path, Resident] = {}
        self._check_arguments()

    @override
    def prepare_data(self) -> None:
        build_if_missing(self.data_dir, self.source)

    @override
    def setup(self, stage: str | None = None) -> None:
        """Open and check what a stage needs; whatever is used earlier is opened then."""
        sizes = len(self._partition.train), len(self._partition.val)
        _log.debug("%s: %d training, %d validation samples", self.data_dir, *sizes)
        _log.debug("%s: %s", self.data_dir, self._normalisation)
        if stage in ("test", "predict"):
            _ = self._test

    @override
    def train_dataloader(self) -> Loader:
        rows, sampler = self._partition.train, Shuffled(run_seed())
        if self.train_transform is not None:
            return self._per_sample(self._train.with_transform(self.train_transform), rows, sampler)
        steps = augmentation_of(self.augment, self.image_shape)
        return self._whole_batches(self._train, rows, sampler, steps)

    @override
    def val_dataloader(self) -> Loader:
        return self._in_order(self._train, self._partition.val, self.val_transform)

    @override
    def test_dataloader(self) -> Loader:
        return self._in_order(self._test, np.arange(len(self._test)), self.test_transform)

    @override
    def predict_dataloader(self) -> Loader:
        return self.test_dataloader()

    @property
    def heads(self) -> tuple[Head, ...]:
        """What the data ask of a model, by ascending parameter id."""
        return self._train.heads

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``, in pixels."""
        return self._train.get_image_shape()

    @property
    def num_classes(self) -> dict[str, int]:
        """The number of classes of each head, by name."""
        return heads_config(self.heads)

    @property
    def class_names(self) -> dict[str, tuple[str, ...]]:
        """The names of the classes of each head: its own, or else the values in the files."""
        return {
            head.name: tuple(head.name_of(index) for index in range(head.num_classes))
            for head in self.heads
        }

    @property
    def channel_mean(self) -> tuple[float, ...]:
        """The mean of each channel over the train part, on the scale [0, 1]."""
        return self._normalisation.mean

    @property
    def channel_std(self) -> tuple[float, ...]:
        """The standard deviation of each channel over the train part, on the scale [0, 1]."""
        return self._normalisation.std

    def get_dataset_info(self) -> dict[str, Any]:
        """What a model and a result need to know of the data, under the format's own names."""
        return {
            "dataset_name": self._train.header.dataset_name or self.data_dir.resolve().name,
            "heads_config": self.num_classes,
            "ordinal_heads": tuple(head.name for head in self.heads if head.is_ordinal),
            "skewed_heads": tuple(head.name for head in self.heads if head.is_skewed),
            "implied_heads": self._train.implied_heads,
            "largest_shares": {head.name: head.largest_share for head in self.heads},
            "image_shape": self.image_shape,
            "num_train_samples": len(self._partition.train),
            "num_val_samples": len(self._partition.val),
            "num_test_samples": self._num_test_samples(),
            "batch_size": self.batch_size,
            "channel_mean": self.channel_mean,
            "channel_std": self.channel_std,
        }

    @override
    def state_dict(self) -> dict[str, Any]:
        """The split, so that a checkpoint is never validated on what it was trained on."""
        return {
            "num_samples": len(self._train),
            "val_rows": torch.from_numpy(self._partition.val.astype(np.int32)),
        }

    @override
    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the split of a checkpoint.

        Raises:
            DataFormatError: the checkpoint is of other data.
        """
        if state_dict["num_samples"] != len(self._train):
            raise DataFormatError(
                f"{self._train.path}: found {len(self._train)} samples; expected "
                f"{state_dict['num_samples']}, as in the data of the checkpoint"
            )
        self._partition = Partition.of(len(self._train), state_dict["val_rows"].numpy())
        self._normalisation = self._measure()

    def _check_arguments(self) -> None:
        if self.source is not None:
            source_named(self.source)
        for key, n, least in (
            ("batch_size", self.batch_size, 1),
            ("num_workers", self.num_workers, 0),
            ("seed", self.seed, 0),
        ):
            if type(n) is not int or n < least:
                raise ConfigError(f"data.{key}: found {n!r}; write a whole number from {least} up")
        if not 0 < self.val_fraction < 1:
            raise ConfigError(
                f"data.val_fraction: found {self.val_fraction}; write a number between 0 and 1"
            )
        check_augment(self.augment)
        if self.augment and self.train_transform is not None:
            raise ConfigError(
                "data.augment: works on whole batches, and data.train_transform on single images; "
                "write one of them"
            )
        for key, transform in (("val", self.val_transform), ("test", self.test_transform)):
            if self.cache and transform is not None and not split_transform(transform)[0]:
                raise ConfigError(
                    f"data.cache: keeps what a transform does before its first random step, and "
                    f"data.{key}_transform begins with one that may be; write data.cache=false"
                )

    @cached_property
    def _train(self) -> CIFAR100MHDataset:
        if not self.data_dir.exists():
            raise nothing_at(self.data_dir)
        return CIFAR100MHDataset(self.data_dir, train=True)

    @cached_property
    def _test(self) -> CIFAR100MHDataset:
        test = CIFAR100MHDataset(self.data_dir, train=False)
        if test.heads != self.heads:
            raise DataFormatError(
                f"{test.path}: found the heads {', '.join(test.get_heads_config())}; "
                f"expected {', '.join(self.num_classes)}, as in {self._train.path.name}"
            )
        return test

    @cached_property
    def _partition(self) -> Partition:
        return stratified(self._train.targets[:, 0], self.val_fraction, self.seed)

    @cached_property
    def _normalisation(self) -> Normalisation:
        return self._measure()

    def _measure(self) -> Normalisation:
        mean, std = channel_statistics(self._train.images, self._partition.train)
        # A constant channel becomes 0, not a division by 0.
        return Normalisation(mean, tuple(deviation or 1.0 for deviation in std))

    def _num_test_samples(self) -> int:
        """As the header says, which the test batch is checked against when it is opened."""
        if is_missing(self.data_dir, TEST):
            return 0
        declared = self._train.header.test_samples
        return len(self._test) if declared is None else declared

    def _in_order(
        self, dataset: CIFAR100MHDataset, rows: Rows, transform: Transform | None
    ) -> Loader:
        if transform is not None:
            samples = dataset.with_transform(transform)
            return self._per_sample(
                KeptSamples(samples, rows) if self.cache else samples, rows, InOrder()
            )
        loader = self._whole_batches(dataset, rows, InOrder())
        return KeptBatches(loader) if self.cache else loader

    def _whole_batches(
        self, data: CIFAR100MHDataset, rows: Rows, sampler: Sampler, steps: tuple[Step, ...] = ()
    ) -> BatchLoader:
        rank, shared = current_rank(), (data, rows, self.batch_size, self._normalisation)
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        if not self.on_device or device.type == "cpu":
            return BatchLoader(*shared, sampler=sampler, steps=steps, rank=rank)
        there = self._resident.get(data.path) or Resident.of(data, device)
        self._resident[data.path] = there
        return ResidentLoader(*shared, resident=there, sampler=sampler, steps=steps, rank=rank)

    def _per_sample(
        self, samples: Dataset[tuple[Any, Any]], rows: Rows, sampler: Sampler
    ) -> PerSampleLoader:
        _log.debug("%s: loaded sample by sample", self.data_dir)
        return PerSampleLoader(
            samples,
            rows,
            self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            pin_memory=self.pin_memory,
            persistent_workers=self.persistent_workers,
            rank=current_rank(),
        )
