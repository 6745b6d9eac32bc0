"""Small data sets of random images, in memory and on disk, and a writer of broken ones."""

import json
import pickle

import numpy as np
import pytest

from mhray.data.header import HEADER_NAME, Header, Parameter
from mhray.data.records import Split
from mhray.data.writing import write_dataset

HEADER = Header(
    dataset_name="notes",
    height=8,
    width=6,
    channels=3,
    parameter_names=("note", "velocity"),
    parameters=(
        Parameter("note", 40, 43, "MIDI note", class_names=("E", "F", "F#", "G")),
        Parameter("velocity", 0, 9, "loudness", "log"),
    ),
)


def random_split(samples, seed=0):
    draw = np.random.default_rng(seed)
    values = np.stack([draw.integers(40, 44, samples), draw.integers(10, size=samples)], axis=1)
    images = draw.integers(256, size=(samples, 3, 8, 6), dtype=np.uint8)
    return Split(images, (0, 1), values.astype(np.uint8))


@pytest.fixture
def notes(tmp_path):
    """A directory of 50 training and 20 test images, 8x6x3, with heads note and velocity."""
    directory = tmp_path / "notes"
    write_dataset(directory, HEADER, random_split(50), random_split(20, seed=1))
    return directory


@pytest.fixture
def break_batch(notes):
    """Writes a changed training batch; gives its path."""

    def change(**changes):
        path = notes / "train_batch"
        batch = pickle.loads(path.read_bytes()) | changes
        path.write_bytes(pickle.dumps({k: v for k, v in batch.items() if v is not None}))
        return path

    return change


@pytest.fixture
def break_header(notes):
    """Writes a changed header; gives its path."""

    def change(**changes):
        path = notes / HEADER_NAME
        fields = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))
        return path

    return change
