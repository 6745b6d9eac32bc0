import json
import logging
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from mhray.data.batches import open_split
from mhray.data.header import Header, Parameter
from mhray.data.records import Split
from mhray.data.writing import write_dataset


@pytest.fixture
def copy_of(notes):
    """The copy of the training batch, opened once so that it is there; no trust in young files."""
    open_split(notes, "train_batch")
    return notes / ".train_batch.mapped"


def images_of(directory):
    return open_split(directory, "train_batch")[2].images


def make_old(path, seconds=100):
    """As if the file had been written so much earlier than its copy."""
    moment = path.stat().st_mtime_ns - seconds * 10**9
    os.utime(path, ns=(moment, moment))


def test_a_pickle_is_converted_once_and_mapped_from_then_on(notes, copy_of):
    before = copy_of.stat()
    assert not images_of(notes).flags.writeable
    assert copy_of.stat().st_ino == before.st_ino


def test_a_copy_holds_what_the_pickle_holds(notes, copy_of):
    mapped = open_split(notes, "train_batch")[2]
    batch = pickle.loads((notes / "train_batch").read_bytes())
    np.testing.assert_array_equal(mapped.images.reshape(50, -1), batch["data"])
    np.testing.assert_array_equal(mapped.values, batch["labels"][:, 2::2])


def test_a_changed_pickle_is_converted_anew(notes, copy_of, break_batch):
    make_old(break_batch(data=np.zeros((50, 144), np.uint8)))
    assert not images_of(notes).any()


def test_a_pickle_changed_within_the_time_stamp_of_another_is_told_by_its_hash(notes, copy_of):
    path = notes / "train_batch"
    path.touch()
    images_of(notes)
    content, times = path.read_bytes(), path.stat()
    batch = pickle.loads(content)
    path.write_bytes(content.replace(batch["data"].tobytes(), bytes(batch["data"].size)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not images_of(notes).any()


def test_later_opens_trust_size_and_time(notes):
    path = notes / "train_batch"
    make_old(path)
    content, times = path.read_bytes(), path.stat()
    expected = images_of(notes).copy()
    path.write_bytes(bytes(len(content)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    np.testing.assert_array_equal(images_of(notes), expected)


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: content[:-1],
        lambda content: content + b"\0",
        lambda content: bytes(len(content)),
        lambda content: content.replace(b'"version":1', b'"version":2'),
        lambda content: content.replace(b'"ids":[0,1]', b'"ids":[1,0]'),
        lambda content: content.replace(b'"samples":50', b'"samples":-5'),
        lambda content: content.replace(b'"image_bytes":144', b'"image_bytes":145'),
        lambda content: content + b"\n[1, 2]",
    ],
)
def test_a_damaged_copy_is_made_anew(notes, copy_of, damage):
    expected = images_of(notes).copy()
    copy_of.unlink()
    images_of(notes)
    copy_of.write_bytes(damage(copy_of.read_bytes()))
    np.testing.assert_array_equal(images_of(notes), expected)
    assert json.loads(copy_of.read_bytes().rpartition(b"\n")[2])["samples"] == 50


def test_a_copy_is_held_against_the_header_like_the_pickle(notes, copy_of, break_header):
    break_header(image_size="6x8x3")
    with pytest.raises(ValueError, match=r"train_batch: height is 8; expected 6 \(the header's"):
        open_split(notes, "train_batch")


def test_where_nothing_can_be_kept_beside_the_data_a_copy_lies_in_the_cache(
    notes, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("mhray.data.mapped.user_cache_path", lambda _: tmp_path / "cache")
    occupy(notes / ".train_batch.mapped")
    with caplog.at_level(logging.DEBUG, logger="mhray.data.mapped"):
        assert not images_of(notes).flags.writeable
    (copy,) = (tmp_path / "cache").iterdir()
    assert caplog.messages == [
        f"{notes / '.train_batch.mapped'}: cannot be written (Is a directory)",
        f"{notes / 'train_batch'}: copied to {copy}",
    ]


def test_where_no_copy_can_be_kept_the_data_are_read_all_the_same(
    notes, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr("mhray.data.mapped.user_cache_path", lambda _: tmp_path / "file")
    (tmp_path / "file").touch()
    occupy(notes / ".train_batch.mapped")
    assert len(images_of(notes)) == 50
    assert caplog.messages == [
        (
            f"{notes / 'train_batch'}: there is no room for a mapped copy beside it or in "
            f"{tmp_path / 'file'}; every process that opens it will read it whole"
        )
    ]


def occupy(place):
    """Put something there that no file can replace."""
    place.unlink(missing_ok=True)
    (place / "in the way").mkdir(parents=True)


BUILT = """
import sys
from pathlib import Path
from mhray.data.batches import open_split

for _ in range(30):
    (Path(sys.argv[1]) / ".train_batch.mapped").unlink(missing_ok=True)
    print(open_split(sys.argv[1], "train_batch")[2].images.sum(dtype=int))
"""


def test_several_builders_leave_one_whole_copy(notes):
    expected = pickle.loads((notes / "train_batch").read_bytes())["data"].sum()
    command = [sys.executable, "-c", BUILT, str(notes)]
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [builder.communicate()[0].split() for builder in builders]
    assert outputs == [[str(expected)] * 30] * 3
    assert {path.name for path in notes.glob(".*")} == {".test_batch.mapped", ".train_batch.mapped"}


def test_what_a_killed_builder_left_is_removed_when_it_is_old(notes, copy_of):
    old, young = (notes / f".train_batch.mapped.{name}" for name in ("old", "young"))
    for draft in (old, young):
        draft.touch()
    make_old(old, seconds=4000)
    copy_of.unlink()
    images_of(notes)
    assert young.exists()
    assert not old.exists()


OPENED = """
import sys
from mhray.data.dataset import CIFAR100MHDataset

def private():
    lines = open("/proc/self/smaps_rollup").read().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:"))

CIFAR100MHDataset(sys.argv[1], train=False)
before = private()
data = CIFAR100MHDataset(sys.argv[1])
print(len(data), private() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone says what is private")
def test_a_second_process_holds_less_than_a_mebibyte_of_its_own(tmp_path):
    header = Header("grey", 8, 8, 1, ("a", "b"), (Parameter("a", 0, 9), Parameter("b", 5, 14)))
    draw = np.random.default_rng(0)
    values = draw.integers(10, size=(50_000, 2), dtype=np.uint8) + np.array([0, 5], np.uint8)
    images = draw.integers(256, size=(50_000, 1, 8, 8), dtype=np.uint8)
    split = Split(images, (0, 1), values)
    write_dataset(tmp_path / "data", header, split, split)  # which leaves a copy
    command = [sys.executable, "-c", OPENED, str(tmp_path / "data")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    samples, kibibytes = map(int, done.stdout.split())
    assert samples == 50_000, kibibytes
    assert kibibytes < 1024
