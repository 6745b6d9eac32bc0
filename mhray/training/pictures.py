"""Pictures of a user's own, as a model takes them: files and folders to one uint8 array."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from mhray.errors import DataFormatError, DataNotFoundError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def find_pictures(places: Iterable[Path]) -> list[Path]:
    """The files as given, and of each folder the pictures in it and below it, by name.

    Raises:
        DataNotFoundError: a place does not exist, or a folder holds no picture.
    """
    return [picture for place in places for picture in _pictures_at(place)]


def _pictures_at(place: Path) -> Sequence[Path]:
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataNotFoundError(f"{place}: there is no such file or folder; write another path")
    found = sorted(path for path in place.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise DataNotFoundError(
            f"{place}: holds no picture; write a folder with files that end in one of: "
            f"{', '.join(sorted(SUFFIXES))}"
        )
    return found


def read_pictures(
    paths: Sequence[Path], shape: tuple[int, int, int]
) -> Iterator[npt.NDArray[np.uint8]]:
    """Each picture as `(height, width, channels)`, cut to the shape of the model's images.

    What another shape has is cut off evenly on both sides, and the rest is resampled; a picture in
    colours becomes grey where the model has one channel, and a grey one gets equal colours.

    Args:
        paths: of the pictures.
        shape: the model's `(height, width, channels)`.

    Raises:
        DataFormatError: a file is no picture, or the model has a number of channels that none has.
    """
    height, width, channels = shape
    if channels not in MODES:
        raise DataFormatError(
            f"the model takes images of {channels} channels, which no picture has; give it arrays "
            "through mlflow.pyfunc.load_model(...).predict"
        )
    for path in paths:
        try:
            with Image.open(path) as picture:
                upright = ImageOps.exif_transpose(picture).convert(MODES[channels])
                fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BILINEAR)
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise DataFormatError(
                f"{path}: is no picture that can be read ({error}); leave it out"
            ) from None
        yield np.asarray(fitted).reshape(shape)
