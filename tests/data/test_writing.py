import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mhray.data.batches import open_split
from mhray.data.header import Header, Parameter
from mhray.data.records import Split
from mhray.data.writing import write_dataset
from mhray.errors import DataFormatError, StorageError

sides = st.integers(1, 64)


@st.composite
def data_sets(draw):
    """A header and a split of any size, ids and ranges."""
    height, width, channels = draw(sides), draw(sides), draw(st.integers(1, 4))
    ids = sorted(draw(st.sets(st.integers(0, 255), min_size=1, max_size=255)))
    lows = [draw(st.integers(0, 255)) for _ in ids]
    samples = draw(st.integers(1, 4))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = np.array([source.integers(lows, 256) for _ in range(samples)], np.uint8)
    header = Header(
        *("any", height, width, channels, ()),
        tuple(Parameter(f"param_{i}", low, 255) for i, low in zip(ids, lows, strict=True)),
        layout=draw(st.sampled_from(["CHW", "HWC"])),
    )
    images = source.integers(256, size=(samples, channels, height, width), dtype=np.uint8)
    return header, Split(images, tuple(ids), values)


@settings(max_examples=40, deadline=None)
@given(data_sets(), st.booleans())
def test_what_is_written_is_read(data_set, raw):
    header, split = data_set
    with tempfile.TemporaryDirectory() as place:
        write_dataset(Path(place) / "d", header, split, raw=raw)
        found_header, heads, found = open_split(Path(place) / "d", "train_batch")
        assert found.ids == split.ids
        assert found_header == replace(
            header, n_samples=len(split), train_samples=len(split), test_samples=0
        )
        assert [256 - head.smallest_value for head in heads] == [h.num_classes for h in heads]
        np.testing.assert_array_equal(found.images, split.images)
        np.testing.assert_array_equal(found.values, split.values)


def test_a_directory_that_exists_is_never_written_over(notes):
    header, _, split = open_split(notes, "train_batch")
    with pytest.raises(StorageError) as error:
        write_dataset(notes, header, split)
    assert str(error.value) == (
        f"{notes}: exists, and is never written over; write another directory, or remove it"
    )


def test_a_split_that_does_not_fit_the_header_leaves_nothing(notes, tmp_path):
    header, _, split = open_split(notes, "train_batch")
    wrong = Split(split.images, split.ids, np.zeros_like(split.values))
    with pytest.raises(DataFormatError) as error:
        write_dataset(tmp_path / "new", header, wrong)
    path = tmp_path / "new" / "train_batch"
    assert str(error.value).startswith(f"{path}: head note: sample 0: found the value 0; ")
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_place_that_cannot_be_written_is_an_error(notes):
    header, _, split = open_split(notes, "train_batch")
    with pytest.raises(StorageError) as error:
        write_dataset(notes / "train_batch" / "new", header, split)
    assert str(error.value) == (
        f"{notes / 'train_batch' / 'new'}: cannot be written (Not a directory); "
        "write a directory that you may write to"
    )


def test_the_first_of_several_builders_wins(notes, tmp_path):
    header, _, split = open_split(notes, "train_batch")
    barrier = Barrier(4)

    def build(_):
        barrier.wait()
        try:
            write_dataset(tmp_path / "new", header, split)
        except StorageError as error:
            return str(error)
        return "built"

    with ThreadPoolExecutor(4) as pool:
        outcomes = sorted(pool.map(build, range(4)))
    assert outcomes[-1] == "built"
    assert all("exists, and is never written over" in outcome for outcome in outcomes[:-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "notes"]
