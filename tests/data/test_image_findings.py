import numpy as np
import pytest

from mhray.data import image_findings
from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.image_findings import findings_in_images
from mhray.heads import Head


class InMemory(MultiheadDatasetBase):
    """Targets as they are given."""

    def _parse_labels(self, raw_labels):
        return np.asarray(raw_labels, np.uint8)

    def _get_sample_metadata(self, idx):
        return {"sample": idx}


def random_images(samples, channels=3, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(256, size=(samples, channels, 4, 5), dtype=np.uint8)


def split(images, targets=0):
    column = np.broadcast_to(targets, len(images))
    return InMemory(images, column.reshape(-1, 1), (Head("a", 10),))


def test_random_images_are_not_suspicious():
    splits = (split(random_images(200, seed=seed)) for seed in (0, 1))
    assert list(findings_in_images(*splits)) == []


def test_images_that_repeat_an_earlier_one_are_counted_with_their_targets():
    images = random_images(50)
    images[[20, 30, 40]] = images[[3, 3, 5]]
    targets = np.arange(50) % 10
    targets[[30, 40]] = targets[[3, 5]]
    assert list(findings_in_images(split(images, targets))) == [
        "train images that repeat an earlier one: 3 of 50, 1 of them with other targets (20 is 3)"
    ]


def test_copies_with_equal_targets_are_told_too():
    images = random_images(50)
    images[20] = images[3]
    assert list(findings_in_images(split(images))) == [
        "train images that repeat an earlier one: 1 of 50, 0 of them with other targets (20 is 3)"
    ]


def test_test_images_that_are_in_train_are_counted():
    train, test = random_images(50), random_images(30, seed=1)
    test[[7, 9]] = train[[12, 13]]
    assert list(findings_in_images(split(train), split(test))) == [
        "test images that are in train as well: 2 of 30 (test image 7 is train image 12)"
    ]


def test_an_image_that_differs_in_one_byte_is_no_copy():
    train = random_images(50)
    test = train.copy()
    test[:, 0, 0, 0] += 1
    assert list(findings_in_images(split(train), split(test))) == []


def test_images_of_one_colour_are_blank():
    train, test = random_images(50), random_images(30, seed=1)
    train[[8, 9]] = np.arange(6, dtype=np.uint8).reshape(2, 3, 1, 1)
    test[2] = 77
    assert list(findings_in_images(split(train), split(test))) == [
        "train images of one colour all over: 2 of 50 (the first is image 8)",
        "test images of one colour all over: 1 of 30 (the first is image 2)",
    ]


@pytest.mark.parametrize("chunk", [1, 60, 1000, 2**23])
def test_channels_that_say_nothing_are_named_however_the_images_are_read(monkeypatch, chunk):
    monkeypatch.setattr(image_findings, "_CHUNK", chunk)
    images = random_images(50, channels=4)
    images[:, 3] = 255
    assert list(findings_in_images(split(images))) == [
        "channel 3 is constant: 255 in all 50 train images"
    ]


@pytest.mark.parametrize("coloured", [(), (49,)])
def test_grey_images_in_several_channels_are_told_if_all_are_grey(coloured):
    images = random_images(50, channels=1).repeat(3, axis=1)
    images[list(coloured), 0] ^= 1
    expected = "all 3 channels are equal in every train image: one of them would do"
    assert list(findings_in_images(split(images))) == ([] if coloured else [expected])


def test_interleaved_images_are_compared_by_what_they_show():
    planar = random_images(50)
    interleaved = np.ascontiguousarray(planar.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    (finding,) = findings_in_images(split(planar), split(interleaved))
    assert finding.startswith("test images that are in train as well: 50 of 50")
