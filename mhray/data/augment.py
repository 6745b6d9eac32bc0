"""Crop, flip and rotate, for a whole batch of uint8 images at once.

The steps of torchvision's ``RandomCrop``, ``RandomHorizontalFlip`` and ``RandomRotation``, each
split in two: what to do with every sample of an epoch is drawn once, and applied batch by batch. So
a sample's augmentation does not depend on the batch or the worker that it falls to.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from mhray.data.records import Bytes
from mhray.errors import ConfigError, did_you_mean

# Evenly spaced, the two ends included. A map per angle makes rotation one gather.
NUM_ANGLES = 121

Drawn = NDArray[np.int64]


class Step(ABC):
    """One augmentation of images ``(batch, channels, height, width)``."""

    @abstractmethod
    def draw(self, generator: np.random.Generator, samples: int) -> Drawn:
        """What to do with each sample in one epoch: ``(samples, ...)``."""

    @abstractmethod
    def apply(self, images: Bytes, drawn: Drawn) -> Bytes:
        """The images after this step; ``drawn`` has one row per image. May change ``images``."""

    @abstractmethod
    def apply_on_device(self, images: Tensor, drawn: Tensor) -> Tensor:
        """The same pixels as ``apply`` gives, of uint8 images and draws on one device."""


class Crop(Step):
    """A window of the image's size, anywhere in the image with ``padding`` black pixels around.

    A channel is cropped as one stretch of memory that starts some rows and some pixels early or
    late; pixels that thereby come from the neighbouring row are blackened. The padded images of one
    batch stay allocated; those of a data set never exist at once.
    """

    def __init__(self, padding: int, image_shape: tuple[int, int, int]) -> None:
        _, height, width = image_shape
        self._padding = padding
        self._image_shape = image_shape
        shifts = np.arange(2 * padding + 1)[:, None] - padding
        source = np.arange(width) + shifts
        inside = np.where((source >= 0) & (source < width), 255, 0).astype(np.uint8)
        self._inside = np.tile(inside, height)
        self._make_room(0)

    @override
    def draw(self, generator: np.random.Generator, samples: int) -> Drawn:
        return generator.integers(2 * self._padding + 1, size=(samples, 2))

    @override
    def apply(self, images: Bytes, drawn: Drawn) -> Bytes:
        batch = len(images)
        if batch > len(self._stretches):
            self._make_room(batch)
        self._middle[:batch] = images.reshape(batch, len(images[0]), -1)
        rows, columns = drawn.T
        starts = rows * self._image_shape[-1] + columns
        cropped: Bytes = self._stretches[np.arange(batch), :, starts]
        cropped &= self._inside[columns][:, None]
        return cropped.reshape(images.shape)

    @override
    def apply_on_device(self, images: Tensor, drawn: Tensor) -> Tensor:
        _, height, width = self._image_shape
        down, right = (drawn - self._padding).T.unsqueeze(2)
        rows = torch.arange(height, device=images.device) + down
        columns = torch.arange(width, device=images.device) + right
        source = rows.clamp(0, height - 1).unsqueeze(2) * width
        source = source + columns.clamp(0, width - 1).unsqueeze(1)
        inside = _within(rows, height).unsqueeze(2) & _within(columns, width).unsqueeze(1)
        return _gathered(images, source.flatten(1), inside.flatten(1))

    def _make_room(self, batch: int) -> None:
        channels, height, width = self._image_shape
        size, margin = height * width, self._padding * (width + 1)
        padded = np.zeros((batch, channels, size + 2 * margin), np.uint8)
        self._middle = padded[:, :, margin : margin + size]
        self._stretches = sliding_window_view(padded, size, axis=2)


class Flip(Step):
    """Left and right swapped, in every second image on average."""

    @override
    def draw(self, generator: np.random.Generator, samples: int) -> Drawn:
        return generator.integers(2, size=samples)

    @override
    def apply(self, images: Bytes, drawn: Drawn) -> Bytes:
        flipped = drawn.nonzero()[0]
        # PyTorch reverses bytes several at a time, NumPy one by one.
        images[flipped] = torch.from_numpy(images[flipped]).flip(3).numpy()
        return images

    @override
    def apply_on_device(self, images: Tensor, drawn: Tensor) -> Tensor:
        return torch.where(drawn.view(-1, 1, 1, 1) == 1, images.flip(3), images)


class Rotate(Step):
    """Turned about the centre by up to ``degrees`` either way: nearest pixel, black outside.

    Deviates from ``RandomRotation`` in drawing from 121 evenly spaced angles, not from all.
    """

    def __init__(self, degrees: float, image_shape: tuple[int, int, int]) -> None:
        _, height, width = image_shape
        angles = np.linspace(-degrees, degrees, NUM_ANGLES)
        maps, inside = zip(*(source_pixels(angle, height, width) for angle in angles), strict=True)
        self._maps = torch.from_numpy(np.stack(maps))
        self._inside = torch.from_numpy(np.stack(inside))

    @override
    def draw(self, generator: np.random.Generator, samples: int) -> Drawn:
        return generator.integers(NUM_ANGLES, size=samples)

    @override
    def apply(self, images: Bytes, drawn: Drawn) -> Bytes:
        turned = self.apply_on_device(torch.from_numpy(images), torch.from_numpy(drawn))
        rotated: Bytes = turned.numpy()
        return rotated

    @override
    def apply_on_device(self, images: Tensor, drawn: Tensor) -> Tensor:
        if self._maps.device != images.device:
            self._maps, self._inside = (
                each.to(images.device) for each in (self._maps, self._inside)
            )
        maps, inside = (each.index_select(0, drawn) for each in (self._maps, self._inside))
        return _gathered(images, maps, inside)


def _within(places: Tensor, size: int) -> Tensor:
    return (places >= 0) & (places < size)


def _gathered(images: Tensor, source: Tensor, inside: Tensor) -> Tensor:
    """Each pixel from its flat ``source``, black unless ``inside``: ``(batch, height * width)``."""
    pixels = images.flatten(2)
    moved = pixels.gather(2, source.unsqueeze(1).expand(pixels.shape))
    return moved.mul_(inside.unsqueeze(1)).view(images.shape)


def source_pixels(degrees: float, height: int, width: int) -> tuple[NDArray[np.int64], Bytes]:
    """Where each pixel of an image turned counter-clockwise comes from: ``(height * width,)`` each.

    The flat index of the nearest pixel, and 1 if that lies inside the image, else 0.
    """
    rows, columns = np.mgrid[:height, :width].reshape(2, -1) + 0.5
    down, right = rows - height / 2, columns - width / 2
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    row = np.floor(sine * right + cosine * down + height / 2).astype(np.int64)
    column = np.floor(cosine * right - sine * down + width / 2).astype(np.int64)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return np.where(inside, row * width + column, 0), inside.astype(np.uint8)


def augmentation_of(
    augment: Mapping[str, Any] | None, image_shape: tuple[int, int, int]
) -> tuple[Step, ...]:
    """The steps that ``augment`` names: flip and crop, in either order the same, then rotate.

    >>> [type(step).__name__ for step in augmentation_of({"crop": 4, "flip": True}, (3, 32, 32))]
    ['Flip', 'Crop']

    Raises:
        ConfigError: an unknown step, or a value that it cannot have.
    """
    wanted = dict(augment or {})
    check_augment(wanted)
    steps: dict[str, Callable[[Any], Step]] = {
        "flip": lambda _: Flip(),
        "crop": lambda padding: Crop(padding, image_shape),
        "rotate": lambda degrees: Rotate(degrees, image_shape),
    }
    return tuple(make(wanted[name]) for name, make in steps.items() if wanted.get(name))


def check_augment(augment: Mapping[str, Any]) -> None:
    """Refuse an unknown step, or a value that it cannot have; 0, false and null leave it out.

    Raises:
        ConfigError: which step, what it is, and what to write.
    """
    accepted: dict[str, tuple[tuple[type, ...], float, str]] = {
        "crop": ((int,), 64, "padding in pixels, 0 to 64"),
        "flip": ((bool,), 1, "true or false"),
        "rotate": ((int, float), 180, "the largest angle in degrees, 0 to 180"),
    }
    for name, value in augment.items():
        if name not in accepted:
            raise ConfigError(f"data.augment.{name}: unknown step; {did_you_mean(name, accepted)}")
        kinds, largest, meaning = accepted[name]
        if value is not None and not (type(value) in kinds and 0 <= value <= largest):
            raise ConfigError(f"data.augment.{name}: found {value!r}; write {meaning}")
