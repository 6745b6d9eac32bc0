from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from mhray.data.batches import open_split
from mhray.data.records import Split
from mhray.data.writing import write_dataset
from mhray.errors import DataFormatError, StorageError


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
