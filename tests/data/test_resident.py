"""Batches that are made on a device; here on the CPU, which is to them a device as any other."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mhray.data.augment import augmentation_of
from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.loader import BatchLoader, InOrder, Normalisation, Shuffled
from mhray.data.ranks import Rank
from mhray.data.resident import Resident, ResidentLoader
from mhray.heads import Head

DATA = SimpleNamespace(
    images=np.random.default_rng(0).integers(256, size=(50, 3, 9, 7), dtype=np.uint8),
    targets=np.stack([np.arange(50), np.arange(50) % 2], axis=1),
    heads=(Head("number", 50), Head("odd", 2)),
)
HALF = Normalisation((0.5, 0.4, 0.3), (0.25, 0.2, 0.3))


def arguments(augment, rank=None, sampler=Shuffled):
    made = InOrder() if sampler is InOrder else sampler(7)
    steps = augmentation_of(augment, (3, 9, 7))
    return {"sampler": made, "steps": steps, "rank": rank}


@pytest.mark.parametrize("rank", [Rank(), Rank(1, 3)])
@pytest.mark.parametrize("sampler", [Shuffled, InOrder])
@pytest.mark.parametrize(
    "augment",
    [
        {},
        {"crop": 3},
        {"crop": 8},
        {"flip": True},
        {"rotate": 40.0},
        {"crop": 2, "flip": True, "rotate": 9},
    ],
)
def test_batches_are_those_of_the_other_loader(augment, sampler, rank):
    rows = np.arange(50)[::-2]
    resident = Resident.of(DATA, torch.device("cpu"))
    ours = ResidentLoader(
        DATA, rows, 12, HALF, resident=resident, **arguments(augment, rank, sampler)
    )
    theirs = BatchLoader(DATA, rows, 12, HALF, **arguments(augment, rank, sampler))
    for _ in range(2):
        for (ours_, targets), (theirs_, their_targets) in zip(ours, theirs, strict=True):
            assert torch.equal(ours_, theirs_)
            assert targets.keys() == their_targets.keys()
            assert all(torch.equal(targets[name], their_targets[name]) for name in targets)


def test_making_batches_leaves_the_data_as_they_are():
    before, resident = DATA.images.copy(), Resident.of(DATA, torch.device("cpu"))
    every = {"crop": 2, "flip": True, "rotate": 9}
    list(ResidentLoader(DATA, np.arange(50), 12, HALF, resident=resident, **arguments(every)))
    assert np.array_equal(DATA.images, before)


@pytest.mark.parametrize(
    ("device", "on_device", "kind"),
    [("cpu", True, BatchLoader), ("meta", False, BatchLoader), ("meta", True, ResidentLoader)],
)
def test_images_lie_on_the_device_that_trains_once(small_data, device, on_device, kind):
    data = CIFAR100MHDataModule(small_data, on_device=on_device)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))
    train, val = data.train_dataloader(), data.val_dataloader()
    assert (type(train), type(val)) == (kind, kind)
    if kind is ResidentLoader:
        assert train._resident is val._resident
        images, _ = next(iter(val))
        assert (images.device.type, len(images)) == ("meta", 60)
