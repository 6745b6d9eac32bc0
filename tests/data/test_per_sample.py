import numpy as np
import pytest
from torchvision.transforms import ToTensor

from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.loader import InOrder, Shuffled
from mhray.data.per_sample import PerSampleLoader
from mhray.data.ranks import Rank
from mhray.errors import ConfigError


@pytest.fixture
def images_seen(notes):
    data = CIFAR100MHDataset(notes, transform=ToTensor())

    def load(samples, sampler, rank=None):
        loader = PerSampleLoader(data, np.arange(samples), 8, sampler=sampler, rank=rank)
        return [[image.numpy().tobytes() for image in images] for images, _ in loader]

    return load


@pytest.mark.parametrize("make_sampler", [InOrder, lambda: Shuffled(3)])
@pytest.mark.parametrize("samples", [40, 41, 43])
def test_ranks_share_each_batch_and_see_nothing_twice(images_seen, make_sampler, samples):
    alone = images_seen(samples, make_sampler())
    ranks = [images_seen(samples, make_sampler(), Rank(index, 2)) for index in range(2)]
    seen = [image for rank in ranks for batch in rank for image in batch]
    assert len(seen) == samples
    assert set(seen) == {image for batch in alone for image in batch}
    assert len(ranks[0]) == len(ranks[1])


def test_an_epoch_has_its_order_whenever_it_is_run(images_seen):
    whole, resumed = Shuffled(3), Shuffled(3)
    passes = [images_seen(20, whole) for _ in range(3)]
    resumed.set_epoch(2)
    assert images_seen(20, resumed) == passes[2] != passes[1]


def test_a_batch_that_ranks_cannot_share_is_refused(images_seen):
    with pytest.raises(ConfigError) as error:
        images_seen(40, InOrder(), Rank(0, 9))
    assert str(error.value) == (
        "data.batch_size: 8 images cannot be shared by 9 workers; write 9 or more"
    )
