"""A contact sheet: some images of a split in a grid, each with its targets, to look at."""

import math
import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.records import Bytes
from mhray.durable import replacing
from mhray.errors import ConfigError, StorageError, printable

_COLUMNS, _ROWS = 8, 5
_SMALL, _LARGE = 96, 256  # pixels: images are enlarged up to the one, and reduced to the other
_WIDEST, _MARGIN, _LINE = 180, 8, 16  # pixels: a cell, between cells, a line of text
_HEADS = 8  # lines under an image
_PAPER = "lightgrey"
_RGB = 3


def check_place(path: Path) -> None:
    """Refuse a file that could not become a picture, before anything is computed.

    Raises:
        ConfigError: it is no ``.png``, or its directory is missing.
    """
    if path.suffix.lower() != ".png":
        raise ConfigError(f"--png: found {path}; write a file whose name ends with .png")
    if not path.parent.is_dir():
        raise ConfigError(f"--png: there is no directory {path.parent}; make it, or write another")


def write_contact_sheet(data: MultiheadDatasetBase, title: str, path: Path) -> None:
    """Write the contact sheet as a PNG, whole or not at all; a file that is there is replaced.

    Raises:
        StorageError: the file cannot be written.
    """
    sheet = contact_sheet(data, title)
    try:
        with replacing(path, is_shared=True) as draft:
            sheet.save(draft, format="PNG")
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({os.strerror(error.errno or 0)}); "
            "write a file in a directory that you may write to"
        ) from None


def contact_sheet(data: MultiheadDatasetBase, title: str) -> Image.Image:
    """Up to 40 images, spread over the classes of the first head, enlarged without smoothing.

    The caption has the title, and says which channels are seen. Letters that Pillow's own font
    lacks, accented ones among them, are drawn as boxes.
    """
    chosen = spread_over_classes(data.targets[:, 0], _COLUMNS * _ROWS)
    tiles = [_tile(data.images[row]) for row in chosen]
    texts = [_targets(data, int(row)) for row in chosen]
    longest = max(_font().getlength(line) for lines in texts for line in lines)
    width = max(_SMALL, tiles[0].width, min(_WIDEST, math.ceil(longest)))
    cells = [_cell(tile, lines, width) for tile, lines in zip(tiles, texts, strict=True)]
    seen = f"{len(chosen)} of {len(data)} images; {_seen(data.images.shape[1])}"
    return _grid(cells, [printable(title), seen])


def spread_over_classes(column: NDArray[np.integer], count: int) -> NDArray[np.int64]:
    """Up to ``count`` samples, as many of each class as can be, the earliest of it, by class.

    Of more classes than that, they are evenly spaced ones.

    >>> spread_over_classes(np.array([2, 0, 0, 0, 2, 1]), count=4)
    array([1, 2, 5, 0])
    """
    by_class = np.argsort(column, kind="stable")
    _, starts, sizes = np.unique(column[by_class], return_index=True, return_counts=True)
    rank = np.arange(len(column)) - np.repeat(starts, sizes)
    in_turn = np.argsort(rank, kind="stable")[: max(count, len(starts))]
    spaced = np.linspace(0, len(in_turn) - 1, min(count, len(in_turn))).round().astype(int)
    chosen: NDArray[np.int64] = by_class[np.sort(in_turn[spaced])]
    return chosen


def _tile(image: Bytes) -> Image.Image:
    """An image ``(channels, height, width)`` as it is shown."""
    if len(image) >= _RGB:
        tile = Image.fromarray(np.ascontiguousarray(image[:_RGB].transpose(1, 2, 0)))
    else:
        tile = Image.fromarray(image.mean(axis=0).round().astype(np.uint8))
    times = max(1, _SMALL // max(tile.size))
    tile = tile.resize((tile.width * times, tile.height * times), Image.Resampling.NEAREST)
    tile.thumbnail((_LARGE, _LARGE))
    return tile


def _seen(channels: int) -> str:
    if channels == 1:
        return "its one channel as grey"
    if channels < _RGB:
        return f"the mean of its {channels} channels as grey"
    return f"channels 0, 1, 2 of {channels} as red, green, blue"


def _targets(data: MultiheadDatasetBase, row: int) -> list[str]:
    lines = [
        printable(f"{head.name}: {head.name_of(int(target))}")
        for head, target in zip(data.heads, data.targets[row], strict=True)
    ]
    more = len(lines) - _HEADS
    return [*lines[:_HEADS], f"and {more} more heads"] if more > 0 else lines


def _cell(tile: Image.Image, lines: Sequence[str], width: int) -> Image.Image:
    cell = Image.new("RGB", (width, tile.height + _LINE * len(lines)), _PAPER)
    cell.paste(tile)
    _write(cell, (0, tile.height), lines, width)
    return cell


def _grid(cells: Sequence[Image.Image], caption: Sequence[str]) -> Image.Image:
    """Cells of one size, row by row under a caption."""
    across, down = (side + _MARGIN for side in cells[0].size)
    top = _LINE * len(caption) + 2 * _MARGIN
    rows = math.ceil(len(cells) / _COLUMNS)
    sheet = Image.new("RGB", (_MARGIN + _COLUMNS * across, top + rows * down), _PAPER)
    _write(sheet, (_MARGIN, _MARGIN), caption, sheet.width - 2 * _MARGIN)
    for index, cell in enumerate(cells):
        row, column = divmod(index, _COLUMNS)
        sheet.paste(cell, (_MARGIN + column * across, top + row * down))
    return sheet


def _write(sheet: Image.Image, at: tuple[int, int], lines: Sequence[str], width: int) -> None:
    """Write lines downward from a place, each cut to a width in pixels."""
    draw, font, (left, top) = ImageDraw.Draw(sheet), _font(), at
    for index, line in enumerate(lines):
        draw.text((left, top + index * _LINE), _cut(line, width), "black", font)


def _cut(text: str, width: int) -> str:
    font = _font()
    if font.getlength(text) <= width:
        return text
    ends = range(len(text), -1, -1)
    return next(cut for end in ends if font.getlength(cut := f"{text[:end]}…") <= width)


@cache
def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=12)
