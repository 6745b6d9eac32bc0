import numpy as np

from mhray.data.statistics import channel_statistics


def test_statistics_are_those_of_the_chosen_images():
    images = np.random.default_rng(0).integers(256, size=(3000, 2, 5, 4), dtype=np.uint8)
    rows = np.arange(0, 3000, 2)
    mean, std = channel_statistics(images, rows)
    chosen = images[rows] / 255
    np.testing.assert_allclose(mean, chosen.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(std, chosen.std(axis=(0, 2, 3)))


def test_a_constant_channel_has_no_deviation():
    assert channel_statistics(np.full((9, 1, 3, 3), 77, np.uint8))[1] == (0.0,)
