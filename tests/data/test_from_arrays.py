import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mhray.data.batches import open_split
from mhray.data.from_arrays import ArrayFiles, build_from_arrays
from mhray.errors import ConfigError, DataFormatError, DataNotFoundError, StorageError

SHAPES = (
    "expected images x height x width, images x height x width x channels, or images x channels x "
    "height x width"
)


def saved(directory, images, name="x", column=None):
    """The files of images ``(n, ...)`` with a head ``index`` that tells them apart."""
    files = ArrayFiles(directory / f"{name}.npy", directory / f"{name}.csv")
    np.save(files.images, images)
    values = np.arange(len(images)) if column is None else column
    files.labels.write_text("index\n" + "".join(f"{value}\n" for value in values))
    return files


def random_images(*shape, seed=0):
    return np.random.default_rng(seed).integers(256, size=shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("shape", "to_planar"),
    [
        ((20, 8, 6), (0, 1, 2)),
        ((20, 8, 6, 1), (0, 3, 1, 2)),
        ((20, 8, 6, 4), (0, 3, 1, 2)),
        ((20, 3, 8, 6), (0, 1, 2, 3)),
        ((20, 2, 8, 6), (0, 1, 2, 3)),
    ],
)
def test_every_layout_becomes_planar_records(tmp_path, shape, to_planar):
    images = random_images(*shape)
    files = saved(tmp_path, images)
    build_from_arrays(tmp_path / "new", files, test_fraction=0, scales={})
    header, (head,), split = open_split(tmp_path / "new", "train_batch")
    planar = images.transpose(to_planar)
    np.testing.assert_array_equal(split.images, planar.reshape(20, -1, 8, 6))
    assert (header.layout, header.dataset_name, head.num_classes) == ("CHW", "new", 20)
    assert not (tmp_path / "new" / "test_batch.bin").exists()


@pytest.mark.parametrize(("layout", "shape"), [("HWC", (4, 3, 5)), ("CHW", (3, 5, 4))])
def test_a_layout_that_is_told_is_used(tmp_path, layout, shape):
    files = saved(tmp_path, random_images(4, 3, 5, 4))
    build_from_arrays(tmp_path / "new", files, layout=layout, scales={})
    assert open_split(tmp_path / "new", "train_batch")[0].image_shape == shape


@settings(max_examples=20)
@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 5))
def test_every_image_goes_into_one_batch_with_its_own_labels(samples, fraction, seed):
    images = random_images(samples, 5, 5)
    with tempfile.TemporaryDirectory() as place:
        files = saved(Path(place), images)
        build_from_arrays(Path(place) / "new", files, test_fraction=fraction, seed=seed, scales={})
        parts = [open_split(Path(place) / "new", f"{name}_batch")[2] for name in ("train", "test")]
        values = np.concatenate([part.values[:, 0] for part in parts])
        assert sorted(values) == list(range(samples))
        found = np.concatenate([part.images[:, 0] for part in parts])
        np.testing.assert_array_equal(found, images[values])


def test_the_test_batch_has_the_same_share_of_every_class(tmp_path):
    files = saved(tmp_path, random_images(100, 5, 5), column=[0] * 80 + [1] * 20)
    build_from_arrays(tmp_path / "new", files, scales={})
    test = open_split(tmp_path / "new", "test_batch")[2]
    assert np.bincount(test.values[:, 0]).tolist() == [8, 2]


def test_the_seed_decides_which_images_are_for_the_test(tmp_path):
    files = saved(tmp_path, random_images(100, 5, 5), column=[0] * 100)
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        build_from_arrays(tmp_path / name, files, seed=seed, scales={})
    first, same, other = ((tmp_path / name / "test_batch.bin").read_bytes() for name in "abc")
    assert first == same != other


def test_test_images_of_their_own_become_the_test_batch(tmp_path):
    train, test = random_images(6, 5, 5, 3), random_images(4, 5, 5, 3, seed=1)
    files = saved(tmp_path, train), saved(tmp_path, test, "u", column=[7, 8, 9, 9])
    build_from_arrays(tmp_path / "new", *files, scales={"index": "log"})
    _, (head,), split = open_split(tmp_path / "new", "test_batch")
    np.testing.assert_array_equal(split.images, test.transpose(0, 3, 1, 2))
    assert split.values[:, 0].tolist() == [7, 8, 9, 9]
    assert (head.num_classes, head.scale) == (10, "log")


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            np.zeros((4, 5, 5)),
            (
                "is an array of float64; write uint8, 0 to 255: "
                "(255 * x).round().astype(np.uint8) for an x in [0, 1]"
            ),
        ),
        (
            np.zeros((4, 5), np.uint8),
            f"is an array of shape 4 x 5; {SHAPES}",
        ),
        (
            np.zeros((4, 0, 5), np.uint8),
            f"is an array of shape 4 x 0 x 5; {SHAPES}",
        ),
        (
            np.array([{}] * 4),
            (
                "is not a whole .npy file (Array can't be memory-mapped: Python objects in "
                "dtype.); write it with np.save"
            ),
        ),
    ],
)
def test_an_array_that_holds_no_images_is_refused(tmp_path, images, message):
    files = saved(tmp_path, images)
    with pytest.raises(DataFormatError) as error:
        build_from_arrays(tmp_path / "new", files, scales={})
    assert str(error.value) == f"{files.images}: {message}"


@pytest.mark.parametrize("shape", [(4, 3, 8, 3), (4, 5, 8, 5)])
def test_a_layout_that_cannot_be_told_must_be_given(tmp_path, shape):
    files = saved(tmp_path, random_images(*shape))
    with pytest.raises(ConfigError) as error:
        build_from_arrays(tmp_path / "new", files, scales={})
    assert str(error.value) == (
        f"{files.images}: is an array of shape {' x '.join(map(str, shape))}, in which the "
        "channels could be the second axis or the last; write --layout CHW or --layout HWC"
    )


@pytest.mark.parametrize("size", [0, 5, 60, 130, 227])
def test_a_file_that_is_cut_short_is_refused(tmp_path, size):
    files = saved(tmp_path, random_images(4, 5, 5))
    files.images.write_bytes(files.images.read_bytes()[:size])
    with pytest.raises(DataFormatError) as error:
        build_from_arrays(tmp_path / "new", files, scales={})
    assert str(error.value).startswith(f"{files.images}: is not a whole .npy file (")
    assert str(error.value).endswith("); write it with np.save")


def test_a_first_line_that_confuses_numpy_is_refused(tmp_path):
    files = saved(tmp_path, random_images(4, 5, 5))
    files.images.write_bytes(files.images.read_bytes().replace(b"'shape'", b"b'hape'"))
    with pytest.raises(DataFormatError, match=r"x\.npy: is not a whole \.npy file \("):
        build_from_arrays(tmp_path / "new", files, scales={})


def test_an_array_that_is_not_there_is_an_error(tmp_path):
    files = saved(tmp_path, random_images(4, 5, 5))
    files.images.unlink()
    with pytest.raises(DataNotFoundError) as error:
        build_from_arrays(tmp_path / "new", files, scales={})
    assert str(error.value) == (
        f"{files.images}: there is no such file; write the path of a .npy file"
    )


def test_every_image_has_a_row_of_labels(tmp_path):
    files = saved(tmp_path, random_images(4, 5, 5))
    files.labels.write_text("index\n1\n2\n3\n")
    with pytest.raises(DataFormatError) as error:
        build_from_arrays(tmp_path / "new", files, scales={})
    assert str(error.value) == (
        f"{files.labels}: found 3 rows of labels; expected 4, one per image of {files.images}"
    )


def test_test_images_are_of_the_same_size(tmp_path):
    train, test = (
        saved(tmp_path, random_images(4, *shape), name)
        for name, shape in (("x", (5, 5)), ("u", (6, 5, 3)))
    )
    with pytest.raises(DataFormatError) as error:
        build_from_arrays(tmp_path / "new", train, test, scales={})
    assert str(error.value) == (
        f"{test.images}: holds images of 3 x 6 x 5 (channels x height x width); "
        f"expected 1 x 5 x 5, as in {train.images}"
    )


def test_one_image_makes_no_two_batches(tmp_path):
    files = saved(tmp_path, random_images(1, 5, 5))
    with pytest.raises(DataFormatError) as error:
        build_from_arrays(tmp_path / "new", files, scales={})
    assert str(error.value) == (
        f"{files.images}: holds 1 image; expected at least 2, for training and for the test "
        "batch (or write --test-fraction 0)"
    )


def test_a_directory_that_exists_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(StorageError, match="exists, and is never written over"):
        build_from_arrays(tmp_path, ArrayFiles(tmp_path / "x", tmp_path / "y"), scales={})
