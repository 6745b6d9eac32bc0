import pickle

import pytest
import torch
from torchvision.transforms import (
    Compose,
    Lambda,
    Normalize,
    RandomErasing,
    RandomHorizontalFlip,
    ToTensor,
)

from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.kept_samples import KeptSamples, split_transform


class Counted(ToTensor):
    """Deterministic, but of a class that nothing is known of."""


TENSOR, SHIFT, FLIP = ToTensor(), Normalize((0.5,) * 3, (0.5,) * 3), RandomHorizontalFlip()


@pytest.mark.parametrize(
    ("transform", "kept", "rest"),
    [
        (TENSOR, [TENSOR], []),
        (Compose([TENSOR, SHIFT]), [TENSOR, SHIFT], []),
        (Compose([TENSOR, FLIP, SHIFT]), [TENSOR], [FLIP, SHIFT]),
        (Compose([Compose([TENSOR, SHIFT]), FLIP]), [TENSOR, SHIFT], [FLIP]),
        (FLIP, [], [FLIP]),
    ],
)
def test_what_comes_before_the_first_random_step_is_kept(transform, kept, rest):
    assert split_transform(transform) == (kept, rest)


@pytest.mark.parametrize("step", [Lambda(abs), Counted(), abs])
def test_a_step_that_nothing_is_known_of_counts_as_random(step):
    assert split_transform(Compose([step, SHIFT]))[0] == []


def test_the_kept_part_is_done_once_per_sample(notes):
    calls = []
    data = CIFAR100MHDataset(notes, transform=Compose([TENSOR, calls.append]))
    kept = KeptSamples(data, torch.arange(3).numpy())
    for _ in range(2):
        for row in range(3):
            kept[row]
    assert len(kept) == 3
    assert len({id(image) for image in calls}) == len(calls) == 6


def test_a_step_in_place_leaves_what_is_kept_as_it_was(notes):
    erase = RandomErasing(p=1, inplace=True)
    data = CIFAR100MHDataset(notes, transform=Compose([TENSOR, erase]))
    kept = KeptSamples(data, torch.arange(1).numpy())
    assert not torch.equal(kept[0][0], kept[0][0]), "erased in two places"
    torch.testing.assert_close(kept._items[0][0], CIFAR100MHDataset(notes)[0][0])


def test_a_data_module_gives_the_same_batches_with_and_without_keeping(notes):
    transform = Compose([TENSOR, SHIFT])
    loaders = [
        CIFAR100MHDataModule(notes, cache=cache, val_transform=transform).val_dataloader()
        for cache in (False, True)
    ]
    for (plain, _), (kept, _) in zip(*loaders, strict=True):
        assert torch.equal(plain, kept)


def test_a_worker_that_is_no_fork_makes_what_is_kept_anew(notes):
    kept = KeptSamples(CIFAR100MHDataset(notes, transform=TENSOR), torch.arange(3).numpy())
    sent = pickle.dumps(kept)
    assert len(sent) < 8192
    assert torch.equal(pickle.loads(sent)[2][0], kept[2][0])
