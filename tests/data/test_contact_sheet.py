import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops

from mhray.data.contact_sheet import (
    check_place,
    contact_sheet,
    spread_over_classes,
    write_contact_sheet,
)
from mhray.data.dataset import MultiheadDatasetBase
from mhray.errors import ConfigError, StorageError
from mhray.heads import Head

LEFT, TOP = 8, 48  # where the first image lies
PAPER = (211, 211, 211)


class InMemory(MultiheadDatasetBase):
    """Targets as they are given."""

    def _parse_labels(self, raw_labels):
        return np.asarray(raw_labels, np.uint8)

    def _get_sample_metadata(self, idx):
        return {"sample": idx}


def random_images(samples, channels=3, seed=0):
    draw = np.random.default_rng(seed)
    return draw.integers(256, size=(samples, channels, 4, 5), dtype=np.uint8)


def data_of(images, **targets):
    heads = tuple(Head(name, 10) for name in targets)
    return InMemory(images, np.stack([*targets.values()], axis=1), heads)


def sheet_of(images, **targets):
    return contact_sheet(data_of(images, **targets or {"a": [0] * len(images)}), "title")


def first_tile(sheet, width, height):
    return np.asarray(sheet.crop((LEFT, TOP, LEFT + width, TOP + height)))


def test_an_image_is_enlarged_without_smoothing():
    images = random_images(1)
    tile = first_tile(sheet_of(images), 5 * 19, 4 * 19)
    expected = images[0].transpose(1, 2, 0).repeat(19, axis=0).repeat(19, axis=1)
    np.testing.assert_array_equal(tile, expected)


@pytest.mark.parametrize(("channels", "shown"), [(1, [0]), (2, [0, 1]), (4, None), (7, None)])
def test_other_channel_counts_are_shown_as_grey_or_by_three_channels(channels, shown):
    images = random_images(1, channels)
    pixel = first_tile(sheet_of(images), 1, 1)[0, 0].tolist()
    grey = [round(images[0, shown or 0, 0, 0].mean())] * 3
    assert pixel == (grey if shown else images[0, :3, 0, 0].tolist())


def test_large_images_are_reduced():
    images = np.full((1, 3, 1024, 512), 200, np.uint8)
    sheet = sheet_of(images)
    assert (first_tile(sheet, 128, 256) == 200).all()
    assert sheet.getpixel((LEFT + 128, TOP)) == PAPER


def test_the_first_image_lies_at_the_top_left_and_the_ninth_below_it():
    images = np.zeros((9, 3, 32, 32), np.uint8)
    images[0], images[8] = 10, 20
    sheet = sheet_of(images)
    assert sheet.getpixel((LEFT, TOP)) == (10,) * 3
    assert sheet.getpixel((LEFT, TOP + 96 + 16 + 8)) == (20,) * 3


def test_targets_are_written_under_their_image():
    images = random_images(2)
    one, other = sheet_of(images, a=[0, 1], b=[3, 2]), sheet_of(images, a=[0, 1], b=[3, 3])
    left, top, right, bottom = ImageChops.difference(one, other).getbbox()
    assert LEFT + 96 + 8 <= left < right <= LEFT + 2 * 96 + 8
    assert TOP + 76 + 16 <= top < bottom <= TOP + 76 + 2 * 16


def test_many_heads_and_long_names_are_cut():
    images = random_images(1)
    tall = sheet_of(images, **{f"head{n}": [0] for n in range(200)})
    wide = sheet_of(images, **{"a" * 500: [0]})
    assert tall.height == TOP + 76 + 9 * 16 + 8
    assert wide.width == 8 + 8 * (180 + 8)


def test_a_picture_is_the_same_each_time():
    assert sheet_of(random_images(99)) == sheet_of(random_images(99))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=80), st.integers(1, 50))
def test_chosen_samples_are_spread_over_the_classes(column, count):
    column = np.array(column, np.uint8)
    chosen = spread_over_classes(column, count)
    assert len(set(chosen.tolist())) == len(chosen) == min(count, len(column))
    assert (np.diff(column[chosen].astype(int)) >= 0).all()
    counts = np.bincount(column[chosen], minlength=10)
    assert np.count_nonzero(counts) == min(count, len(set(column.tolist())))
    left_over = np.setdiff1d(np.arange(len(column)), chosen)
    assert (counts[column[left_over]] >= counts.max() - 1).all()


def test_of_many_classes_evenly_spaced_ones_are_chosen():
    assert spread_over_classes(np.arange(99)[::-1], count=3).tolist() == [98, 49, 0]


def test_a_sheet_is_written_whole_and_replaces_an_older_one(tmp_path):
    path = tmp_path / "sheet.PNG"
    path.write_text("older")
    data = data_of(random_images(2), a=[0, 1])
    with path.open() as reader:
        write_contact_sheet(data, "title", path)
        assert reader.read() == "older"
    with Image.open(path) as written:
        assert (written.format, written.convert("RGB")) == ("PNG", contact_sheet(data, "title"))
    assert list(tmp_path.iterdir()) == [path]


def test_a_sheet_that_cannot_be_written_leaves_nothing(tmp_path):
    path = tmp_path / "directory.png"
    path.mkdir()
    with pytest.raises(StorageError) as error:
        write_contact_sheet(data_of(random_images(1), a=[0]), "title", path)
    assert str(error.value) == (
        f"{path}: cannot be written (Is a directory); "
        "write a file in a directory that you may write to"
    )
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sheet.jpg", "--png: found {path}; write a file whose name ends with .png"),
        (
            "none/sheet.png",
            "--png: there is no directory {path.parent}; make it, or write another",
        ),
    ],
)
def test_a_place_that_can_hold_no_sheet_is_refused(tmp_path, name, message):
    path = tmp_path / name
    with pytest.raises(ConfigError) as error:
        check_place(path)
    assert str(error.value) == message.format(path=path)
