import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as torchvision

from mhray.data.augment import NUM_ANGLES, Crop, Flip, Rotate, augmentation_of
from mhray.errors import ConfigError

SHAPE = (3, 12, 9)


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(1, 256, size=(40, *SHAPE), dtype=np.uint8)


def drawn(step, samples=40, seed=1):
    return step.draw(np.random.default_rng(seed), samples)


@pytest.mark.parametrize("padding", [1, 4, 13])
def test_a_crop_is_a_window_of_the_padded_image(images, padding):
    crop = Crop(padding, SHAPE)
    shifts = drawn(crop)
    found = crop.apply(images, shifts)
    padded = np.pad(images, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    for image, whole, (row, column) in zip(found, padded, shifts, strict=True):
        np.testing.assert_array_equal(image, whole[:, row : row + 12, column : column + 9])


def test_crops_reach_every_window(images):
    shifts = drawn(Crop(2, SHAPE), samples=1000)
    assert {tuple(shift) for shift in shifts.tolist()} == {
        (i, j) for i in range(5) for j in range(5)
    }


def test_a_crop_does_not_remember_a_larger_batch(images):
    crop = Crop(4, SHAPE)
    shifts = drawn(crop)
    whole = crop.apply(images, shifts)
    np.testing.assert_array_equal(crop.apply(images[:7], shifts[:7]), whole[:7])


def test_a_flip_swaps_left_and_right_of_about_half_the_images(images):
    which = drawn(Flip())
    found = Flip().apply(images.copy(), which)
    expected = np.where(which[:, None, None, None], images[..., ::-1], images)
    np.testing.assert_array_equal(found, expected)
    assert 0.4 < drawn(Flip(), samples=2000).mean() < 0.6


@pytest.mark.parametrize("degrees", [15, 90, 180])
def test_a_rotation_is_that_of_torchvision(degrees):
    images = np.random.default_rng(0).integers(1, 256, size=(NUM_ANGLES, 3, 32, 32), dtype=np.uint8)
    rotate = Rotate(degrees, (3, 32, 32))
    found = rotate.apply(images, np.arange(NUM_ANGLES))
    angles = np.linspace(-degrees, degrees, NUM_ANGLES)
    expected = [
        torchvision.rotate(torch.from_numpy(image), float(angle), InterpolationMode.NEAREST)
        for image, angle in zip(images, angles, strict=True)
    ]
    # Pixels that fall on the border between two differ by rounding.
    assert (found == torch.stack(expected).numpy()).mean() > 0.995


def test_rotation_by_nothing_changes_nothing(images):
    rotate = Rotate(30, SHAPE)
    np.testing.assert_array_equal(rotate.apply(images, np.full(40, NUM_ANGLES // 2)), images)


def test_steps_come_in_a_fixed_order():
    steps = augmentation_of({"rotate": 15, "crop": 4, "flip": True}, SHAPE)
    assert [type(step) for step in steps] == [Flip, Crop, Rotate]


@pytest.mark.parametrize("augment", [None, {}, {"crop": 0, "flip": False, "rotate": None}])
def test_no_step_is_no_augmentation(augment):
    assert augmentation_of(augment, SHAPE) == ()


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (
            {"flop": True},
            "data.augment.flop: unknown step; did you mean flip? (one of: crop, flip, rotate)",
        ),
        ({"crop": 1.5}, "data.augment.crop: found 1.5; write padding in pixels, 0 to 64"),
        ({"flip": 1}, "data.augment.flip: found 1; write true or false"),
        (
            {"rotate": 181},
            "data.augment.rotate: found 181; write the largest angle in degrees, 0 to 180",
        ),
    ],
)
def test_a_wrong_augmentation_is_refused(augment, message):
    with pytest.raises(ConfigError) as error:
        augmentation_of(augment, SHAPE)
    assert str(error.value) == message
