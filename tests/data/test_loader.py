from itertools import chain, pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mhray.data.augment import augmentation_of
from mhray.data.loader import (
    BatchLoader,
    InOrder,
    KeptBatches,
    Normalisation,
    Shuffled,
    batch_bounds,
    samples_per_rank,
)
from mhray.data.ranks import Rank
from mhray.errors import ConfigError
from mhray.heads import Head

HALF = Normalisation((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
AUGMENT = {"crop": 2, "flip": True, "rotate": 20}


def numbered(samples=50):
    """Random images whose target says which sample they are."""
    images = np.random.default_rng(0).integers(256, size=(samples, 3, 8, 6), dtype=np.uint8)
    number = np.arange(samples)
    targets = np.stack([number, number % 2], axis=1)
    return SimpleNamespace(
        images=images, targets=targets, heads=(Head("number", samples), Head("odd", 2))
    )


def loader(data=None, *, batch_size=16, sampler=None, augment=None, rank=None, rows=None):
    data = data or numbered()
    return BatchLoader(
        data,
        np.arange(len(data.images)) if rows is None else rows,
        batch_size,
        HALF,
        sampler=sampler or Shuffled(7),
        steps=augmentation_of(augment, (3, 8, 6)),
        rank=rank,
    )


def seen(batches):
    """The images by number, whatever batch they came in."""
    return {
        int(number): image
        for images, targets in batches
        for number, image in zip(targets["number"], images, strict=True)
    }


def order(batches):
    return [int(number) for _, targets in batches for number in targets["number"]]


def assert_same_images(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[number], expected[number]) for number in expected)


def test_a_batch_is_float_images_and_one_target_per_head():
    images, targets = next(iter(loader()))
    assert (images.shape, images.dtype) == ((16, 3, 8, 6), torch.float32)
    assert images.is_contiguous()
    assert {head: (t.shape, t.dtype) for head, t in targets.items()} == {
        "number": ((16,), torch.int64),
        "odd": ((16,), torch.int64),
    }


def test_images_are_normalised_per_channel():
    data = numbered()
    images, _ = next(iter(loader(data, sampler=InOrder())))
    expected = (torch.from_numpy(data.images[:16]) / 255 - 0.5) / 0.25
    torch.testing.assert_close(images, expected)


def test_each_sample_is_seen_once_with_its_targets():
    batches = list(loader())
    assert len(batches) == len(loader()) == 4
    assert sorted(order(batches)) == list(range(50))
    assert all(torch.equal(targets["number"] % 2, targets["odd"]) for _, targets in batches)


def test_only_the_chosen_rows_are_loaded():
    assert order(loader(rows=np.array([3, 9, 30]), sampler=InOrder())) == [3, 9, 30]


def test_interleaved_images_are_loaded_like_planar_ones():
    data = numbered()
    stored = np.ascontiguousarray(data.images.transpose(0, 2, 3, 1))
    interleaved = SimpleNamespace(
        images=stored.transpose(0, 3, 1, 2), targets=data.targets, heads=data.heads
    )
    found, expected = (seen(loader(d, augment=AUGMENT)) for d in (interleaved, data))
    assert_same_images(found, expected)


def test_loading_leaves_the_data_as_they_are():
    data = numbered()
    before = data.images.copy()
    list(loader(data, augment=AUGMENT))
    np.testing.assert_array_equal(data.images, before)


def test_each_pass_is_another_epoch():
    batches = loader(augment=AUGMENT)
    first, second = list(batches), list(batches)
    assert order(first) != order(second)
    assert not all(torch.equal(seen(first)[n], seen(second)[n]) for n in range(50))


def test_a_resumed_epoch_sees_what_an_uninterrupted_one_would():
    whole, resumed = loader(augment=AUGMENT), loader(augment=AUGMENT)
    passes = [list(whole) for _ in range(4)]
    resumed.sampler.set_epoch(3)
    again = list(resumed)
    assert order(again) == order(passes[3])
    assert_same_images(seen(again), seen(passes[3]))


def test_another_seed_gives_another_order():
    assert order(loader(sampler=Shuffled(1))) != order(loader(sampler=Shuffled(2)))


def test_augmentation_does_not_depend_on_the_batch():
    assert_same_images(
        seen(loader(augment=AUGMENT, batch_size=50)), seen(loader(augment=AUGMENT, batch_size=7))
    )


def test_in_order_each_pass_is_the_same():
    batches = loader(sampler=InOrder())
    assert order(batches) == order(batches) == list(range(50))


@pytest.mark.parametrize("samples", [48, 50, 49, 51, 4])
def test_ranks_see_slices_of_what_one_would_see(samples):
    data = numbered(samples)
    alone = list(loader(data, augment=AUGMENT))
    ranks = [list(loader(data, augment=AUGMENT, rank=Rank(i, 4))) for i in range(4)]
    assert len({len(batches) for batches in ranks}) == 1
    assert sorted(chain.from_iterable(map(order, ranks))) == list(range(samples))
    assert [len(order(r)) for r in ranks] == [len(range(i, samples, 4)) for i in range(4)]
    assert_same_images({k: v for r in ranks for k, v in seen(r).items()}, seen(alone))


@pytest.mark.parametrize("batch_size", [16, 18])
def test_samples_of_a_rank_are_counted_as_they_are_seen(batch_size):
    ranks = [loader(batch_size=batch_size, rank=Rank(i, 4)) for i in range(4)]
    assert samples_per_rank(50, batch_size, 4) == tuple(len(order(each)) for each in ranks)


@given(st.integers(1, 300), st.integers(1, 160), st.integers(1, 8))
def test_batches_cover_the_samples_and_feed_every_rank(samples, batch, ranks):
    if min(samples, batch) < ranks:
        return
    bounds = batch_bounds(samples, batch, ranks)
    assert bounds[0][0] == 0
    assert bounds[-1][1] == samples
    assert all(stop == start for (_, stop), (start, _) in pairwise(bounds))
    assert all(stop - start >= ranks for start, stop in bounds)
    assert all(stop - start == batch for start, stop in bounds[:-1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            (100, 2, 3),
            "data.batch_size: 2 images cannot be shared by 3 workers; write 3 or more",
        ),
        (
            (1, 64, 2),
            "data.data_dir: 1 samples cannot be shared by 2 workers; write workers=1 or fewer",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(arguments, message):
    with pytest.raises(ConfigError) as error:
        batch_bounds(*arguments)
    assert str(error.value) == message


def test_kept_batches_are_the_same_tensors_after_one_whole_pass():
    kept = KeptBatches(loader(sampler=InOrder()))
    next(iter(kept))
    first, second, third = list(kept), list(kept), list(kept)
    assert len(kept) == 4
    assert first[0][0] is second[0][0] is third[0][0]
    assert order(third) == list(range(50))
