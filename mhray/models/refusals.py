"""What networks refuse in one voice: arguments that none can have, and images that are too small.

>>> refuse_arguments(blocks=whole(1), kernel_size=odd(4), dropout=probability(1.5))
Traceback (most recent call last):
mhray.errors.ConfigError: model.net.kernel_size: should be an odd number of at least 1, found 4
model.net.dropout: should be a number of at least 0 and below 1, found 1.5
"""

from typing import NamedTuple

from mhray.errors import ConfigError


class Argument(NamedTuple):
    """What was given, whether it fits, and what would."""

    value: object
    fits: bool
    what_fits: str


def whole(value: object) -> Argument:
    """A whole number of at least 1."""
    return Argument(value, type(value) is int and value >= 1, "a whole number of at least 1")


def odd(value: object) -> Argument:
    """The side of a kernel that has a pixel in its middle."""
    fits = type(value) is int and value >= 1 and value % 2 == 1
    return Argument(value, fits, "an odd number of at least 1")


def probability(value: object) -> Argument:
    """A share of what is dropped, which is not all."""
    fits = type(value) in (int, float) and 0 <= value < 1  # type: ignore[operator]
    return Argument(value, fits, "a number of at least 0 and below 1")


def one_or_two(value: object) -> Argument:
    """A stride that keeps the sides or halves them."""
    return Argument(value, type(value) is int and value in (1, 2), "1 or 2")


def refuse_arguments(**arguments: Argument) -> None:
    """Raises ConfigError that tells all that do not fit. The names are those under `model.net`."""
    problems = [
        f"model.net.{name}: should be {argument.what_fits}, found {argument.value!r}"
        for name, argument in arguments.items()
        if not argument.fits
    ]
    if problems:
        raise ConfigError("\n".join(problems))


def refuse_small_images(
    network: str, image_shape: tuple[int, int, int], smallest_side: int
) -> None:
    """Raises ConfigError if halving the sides three times would leave too little."""
    _, height, width = image_shape
    if min(height, width) < smallest_side:
        raise ConfigError(
            f"model.net: {network} halves each side three times, and the images are "
            f"{height}x{width} pixels; write a data.data_dir whose images are "
            f"{smallest_side}x{smallest_side} or larger, or another model.net"
        )
