import json
import resource
import shutil

import numpy as np
import pytest

from mhray.data.batches import fingerprint, open_split
from mhray.data.header import HEADER_NAME, SISTER_HEADER_NAME
from mhray.data.raw_form import RawBatch, rewrite_as_raw
from mhray.data.writing import write_raw_batch
from mhray.errors import DataFormatError, DataNotFoundError, StorageError


def files_of(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_a_raw_data_set_reads_as_its_pickles_did(notes):
    before, pickles = fingerprint(notes), files_of(notes)
    assert rewrite_as_raw(notes) == (
        RawBatch(notes / "train_batch.bin", 50),
        RawBatch(notes / "test_batch.bin", 20),
    )
    assert fingerprint(notes) == before
    found = files_of(notes)
    assert sorted(found) == [
        HEADER_NAME,
        *("test_batch.bin", "test_batch.pickle", "train_batch.bin", "train_batch.pickle"),
    ]
    assert found["train_batch.pickle"] == pickles["train_batch"]


def test_a_raw_data_set_is_left_as_it_is(notes):
    rewrite_as_raw(notes)
    before = files_of(notes)
    assert [batch.samples for batch in rewrite_as_raw(notes)] == [0, 0]
    assert files_of(notes) == before


def test_only_the_batch_that_is_a_pickle_is_rewritten(notes):
    header, _, split = open_split(notes, "train_batch")
    write_raw_batch(notes / "train_batch.bin", header, split)
    (notes / "train_batch").unlink()
    assert [batch.samples for batch in rewrite_as_raw(notes)] == [0, 20]


def test_pairs_are_written_in_the_order_of_their_ids(notes, break_batch):
    records = open_split(notes, "train_batch")[2].values
    shuffled = np.insert(records[:, ::-1].astype(int), [0, 1], [1, 0], axis=1)
    break_batch(labels=np.insert(shuffled, 0, 2, axis=1).tolist())
    before = fingerprint(notes)
    rewrite_as_raw(notes)
    assert (notes / "train_batch.bin").read_bytes()[:5] == bytes(
        [2, 0, records[0, 0], 1, records[0, 1]]
    )
    assert fingerprint(notes) == before


def test_the_layout_of_the_file_is_kept(notes, break_header):
    break_header(image_layout="HWC")
    _, _, split = open_split(notes, "train_batch")
    rewrite_as_raw(notes)
    first = np.frombuffer((notes / "train_batch.bin").read_bytes()[5 : 5 + 144], np.uint8)
    np.testing.assert_array_equal(first.reshape(8, 6, 3).transpose(2, 0, 1), split.images[0])


def test_the_sister_format_is_rewritten_too(notes, break_header):
    path = break_header(format="VIMH")
    path.rename(notes / SISTER_HEADER_NAME)
    before = fingerprint(notes)
    assert [batch.samples for batch in rewrite_as_raw(notes)] == [50, 20]
    assert fingerprint(notes) == before
    assert json.loads((notes / SISTER_HEADER_NAME).read_text())["format"] == "VIMH"


def test_a_crash_between_the_steps_changes_nothing_and_can_be_finished(notes, tmp_path):
    before, whole = fingerprint(notes), tmp_path / "whole"
    shutil.copytree(notes, whole)
    rewrite_as_raw(whole)
    shutil.copy(whole / "train_batch.bin", notes)
    assert fingerprint(notes) == before
    assert [batch.samples for batch in rewrite_as_raw(notes)] == [50, 20]
    assert fingerprint(notes) == before


def test_raw_records_of_something_else_are_refused(notes):
    header, _, split = open_split(notes, "test_batch")
    write_raw_batch(notes / "test_batch.bin", header, split, np.arange(19))
    before = sorted(files_of(notes))
    with pytest.raises(StorageError) as error:
        rewrite_as_raw(notes)
    assert str(error.value) == (
        f"{notes / 'test_batch.bin'}: holds something else than test_batch beside it, which is "
        "what readers read; remove one of them"
    )
    assert sorted(files_of(notes)) == before


def test_a_kept_pickle_is_never_written_over(notes):
    (notes / "test_batch.pickle").write_bytes(b"kept")
    with pytest.raises(StorageError) as error:
        rewrite_as_raw(notes)
    assert str(error.value) == (
        f"{notes / 'test_batch.pickle'}: exists, and is never written over; "
        "move it to another directory"
    )
    assert (notes / "train_batch").exists()


def test_a_broken_batch_is_refused_before_any_is_renamed(notes):
    (notes / "test_batch").write_bytes(b"broken")
    with pytest.raises(DataFormatError, match="test_batch: is not a whole pickle"):
        rewrite_as_raw(notes)
    assert {HEADER_NAME, "train_batch", "test_batch"} <= set(files_of(notes))
    assert not list(notes.glob("*.bin")) + list(notes.glob(".raw.*"))


def test_a_full_disk_leaves_the_data_set_as_it_was(notes):
    before = fingerprint(notes)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        with pytest.raises(StorageError) as error:
            rewrite_as_raw(notes)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(error.value) == (
        f"{notes}: cannot be written (File too large); "
        "make room there, or copy it to a directory that you may write to"
    )
    assert fingerprint(notes) == before
    assert not list(notes.glob("*.bin")) + list(notes.glob(".raw.*"))


def test_a_directory_without_batches_is_an_error(notes):
    (notes / "train_batch").unlink()
    (notes / "test_batch").unlink()
    with pytest.raises(DataNotFoundError) as error:
        rewrite_as_raw(notes)
    assert str(error.value) == (
        f"{notes}: has no train_batch and no train_batch.bin; write one of them"
    )
