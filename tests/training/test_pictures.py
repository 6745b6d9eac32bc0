"""A user's own pictures become what a model takes, or an error says which cannot."""

import numpy as np
import pytest
from PIL import Image

from mhray.errors import DataFormatError, DataNotFoundError
from mhray.training.pictures import find_pictures, read_pictures


def saved(path, shape=(20, 30, 3), value=200, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(shape, value, np.uint8)).save(path, **options)
    return path


def test_folders_are_searched_and_files_taken_as_they_are(tmp_path):
    inside = [saved(tmp_path / "a" / name) for name in ("1.PNG", "sub/2.jpg")]
    (tmp_path / "a" / "notes.txt").touch()
    odd = saved(tmp_path / "odd.picture", format="PNG")
    assert find_pictures([odd, tmp_path / "a"]) == [odd, *inside]


@pytest.mark.parametrize(
    ("place", "message"),
    [("nowhere", "there is no such file or folder"), ("empty", "holds no picture; write a folder")],
)
def test_a_place_without_pictures_is_named(tmp_path, place, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataNotFoundError) as error:
        find_pictures([tmp_path / place])
    assert str(error.value).startswith(f"{tmp_path / place}: {message}")


@pytest.mark.parametrize("kept", [(20, 30, 3), (20, 30), (20, 30, 4)])
@pytest.mark.parametrize("wanted", [(8, 8, 3), (8, 12, 1), (40, 10, 4)])
def test_any_picture_has_the_shape_of_the_model_s_images(tmp_path, kept, wanted):
    (image,) = read_pictures([saved(tmp_path / "x.png", kept)], wanted)
    assert (image.shape, image.dtype) == (wanted, np.uint8)
    assert (image == 200).all() or kept[2:] != wanted[2:]


def test_what_is_too_wide_is_cut_off_evenly(tmp_path):
    pixels = np.zeros((10, 30), np.uint8)
    pixels[:, 10:20] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    (image,) = read_pictures([tmp_path / "x.png"], (10, 10, 1))
    assert (image == 255).all()


def test_a_photo_is_turned_as_its_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the orientation: a quarter turn clockwise shows it upright
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, :4] = 255  # at the left, which is the top once turned
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=exif)
    (image,) = read_pictures([tmp_path / "x.png"], (8, 8, 1))
    assert (image[:4] == 255).all()
    assert (image[4:] == 0).all()


def test_a_file_that_is_no_picture_is_named(tmp_path):
    path = tmp_path / "x.png"
    path.write_text("no", encoding="utf-8")
    with pytest.raises(DataFormatError, match=r"x\.png: is no picture that can be read \(.*\)"):
        next(read_pictures([path], (8, 8, 3)))


def test_a_model_of_two_channels_takes_no_pictures(tmp_path):
    with pytest.raises(DataFormatError, match="images of 2 channels, which no picture has"):
        next(read_pictures([saved(tmp_path / "x.png")], (8, 8, 2)))
