"""What reading promises of any file whatever: a clear error, or samples that are as they should be.

A file of one kind is put into a small data set whose other file is whole, and the data set is
opened as users open it. Anything but a refusal that names the place, or samples that fit the
header and come out the same a second time, is a finding.
"""

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from mhray.data.batches import open_split
from mhray.errors import MhrayError

CORPUS = Path(__file__).parent / "corpus"
FINDINGS = Path(__file__).parent / "findings"
PICKLES = Path(__file__).parent.parent / "tests" / "data" / "pickles"

HEADER = {
    "format": "CIFAR-100-MH",
    "version": "1.0",
    "dataset_name": "small",
    "n_samples": 3,
    "train_samples": 3,
    "image_size": "2x4x3",
    "image_layout": "HWC",
    "parameter_names": ["note", "velocity"],
    "parameter_mappings": {
        "note": {"min": 200, "max": 202, "scale": "linear", "class_names": ["E", "F", "G"]}
    },
}
RECORDS = b"".join(
    bytes([2, 1, sample, 0, 200 + sample, *range(sample, sample + 24)]) for sample in range(3)
)


@dataclass(frozen=True)
class Reader:
    """A kind of file, and the directory into which files of this kind are put."""

    kind: str
    path: Path

    def read(self, content: bytes) -> str:
        """Put a file there and open it: "read", or the refusal without the file's name.

        Raises:
            AssertionError: a promise is broken; so for every error that is not one of mhray.
        """
        self.path.write_bytes(content)
        for copy in self.path.parent.glob(".*.mapped"):
            copy.unlink()
        said = [self._open(strict=strict) for strict in (True, False)]
        assert said[1] == "read" or said[0] != "read", "strict=False refused what strict=True read"
        return said[0]

    def _open(self, *, strict: bool) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", UserWarning)
            try:
                return self._check_twice(strict=strict)
            except MhrayError as error:
                said = str(error)
        assert said.startswith(str(self.path.parent)), f"the message names no file: {said}"
        assert said.replace("\n", "").isprintable(), f"the message has escape codes: {said!r}"
        return said.partition(": ")[2]

    def _check_twice(self, *, strict: bool) -> str:
        header, heads, split = open_split(self.path.parent, "train_batch", strict=strict)
        assert split.images.dtype == split.values.dtype == np.uint8
        assert split.images.shape == (len(split), *header.image_shape)
        assert len(split) > 0
        assert split.values.shape == (len(split), len(heads))
        assert list(split.ids) == sorted(set(split.ids))
        for head, column in zip(heads, split.values.T, strict=True):
            assert head.smallest_value <= column.min()
            assert column.max() < head.smallest_value + head.num_classes
        again = open_split(self.path.parent, "train_batch", strict=strict)
        assert again[:2] == (header, heads)
        np.testing.assert_array_equal(again[2].images, split.images)
        np.testing.assert_array_equal(again[2].values, split.values)
        return "read"


@contextmanager
def readers() -> Iterator[dict[str, Reader]]:
    """A reader of each kind, in a directory that is removed at the end."""
    with TemporaryDirectory() as place:
        kinds = {}
        for kind, name in (
            ("pickle", "train_batch"),
            ("raw", "train_batch.bin"),
            ("header", "cifar100mh_dataset_info.json"),
        ):
            directory = Path(place) / kind
            directory.mkdir()
            (directory / "cifar100mh_dataset_info.json").write_text(json.dumps(HEADER))
            if kind == "header":
                (directory / "train_batch.bin").write_bytes(RECORDS)
            kinds[kind] = Reader(kind, directory / name)
        yield kinds


def seeds(kind: str) -> list[bytes]:
    """The saved files of a kind."""
    paths = sorted((CORPUS / kind).iterdir())
    stored = sorted(PICKLES.glob("python*")) if kind == "pickle" else []
    return [path.read_bytes() for path in (*stored, *paths)]
