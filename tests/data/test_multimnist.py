import numpy as np
import pytest

from mhray.data.batches import describe_directory, open_split
from mhray.data.dataset import create_cifar100mh_datasets
from mhray.data.sources.multimnist import DIGIT, MultiMNIST, _load_digits, _place, split_digits


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    directory = tmp_path_factory.mktemp("multimnist") / "data"
    MultiMNIST().build(directory, train=400, test=100, seed=0)
    return directory


def test_the_source_says_what_it_builds(built):
    assert describe_directory(built) == (MultiMNIST.heads, MultiMNIST.image_shape)


def test_the_third_head_is_the_sum_of_the_two(built):
    for data in create_cifar100mh_datasets(built):
        left, right, total = data.targets.T
        np.testing.assert_array_equal(total, left + right)
        assert set(left) == set(right) == set(range(10))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(built, tmp_path):
    MultiMNIST().build(tmp_path / "again", train=400, test=100, seed=0)
    MultiMNIST().build(tmp_path / "other", train=400, test=100, seed=1)
    for file in built.glob("[!.]*"):
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()
    assert (built / "train_batch").read_bytes() != (tmp_path / "other/train_batch").read_bytes()


def test_digits_of_the_test_images_never_occur_in_training_images():
    _, classes = _load_digits()
    train, test = split_digits(classes, np.random.default_rng(0))
    assert not set(train) & set(test)
    assert (len(train), len(test)) == (4000, 1000)
    assert np.bincount(classes[test]).tolist() == [100] * 10


def test_overlapping_digits_keep_the_lighter_pixel():
    canvas = np.zeros((1, 32, 32), np.uint8)
    for value, corner in ((100, (0, 1)), (200, (7, 8)), (50, (0, 0))):
        _place(canvas, np.full((1, DIGIT, DIGIT), value, np.uint8), np.array([corner]))
    assert canvas[0, 10, 10] == 200
    assert canvas[0, 0, 1] == 100
    assert canvas[0, 0, 0] == 50
    assert canvas[0, 31, 0] == 0


def test_left_is_at_the_top_left_and_right_at_the_bottom_right(built):
    images = open_split(built, "train_batch")[2].images[:, 0]
    assert images[:, :8, :8].any()
    assert images[:, -8:, -8:].any()
    assert not images[:, -6:, :6].any()
    assert not images[:, :6, -6:].any()


def test_grey_stands_in_all_three_channels(built):
    images = open_split(built, "test_batch")[2].images
    np.testing.assert_array_equal(images[:, :1].repeat(3, axis=1), images)
