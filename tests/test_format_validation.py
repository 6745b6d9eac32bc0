"""Everything that must be refused, as users meet it: by the data set, the data module, a command.

The exact messages are tested beside the readers; here, that each says where, found and expected.
"""

import json
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.header import HEADER_NAME
from mhray.data.inspect import main as inspect_directory
from mhray.errors import DataFormatError, MhrayError, UnsafePickleError
from mhray.train import main as train

TRAIN = "train_batch"


class Runs:
    """Makes a pickle that would run a command when it is opened."""

    def __reduce__(self):
        return os.system, ("touch ran",)


def with_header(**changes):
    """The header changed; without a key whose value is None."""

    def spoil(directory):
        path = directory / HEADER_NAME
        fields = json.loads(path.read_text()) | changes
        path.write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))

    return spoil


def with_batch(**changes):
    """The training batch changed by functions of its values; without a key that becomes None."""

    def spoil(directory):
        path = directory / TRAIN
        batch = pickle.loads(path.read_bytes())
        for key, change in changes.items():
            batch[key] = change(batch.get(key))
        path.write_bytes(pickle.dumps({k: v for k, v in batch.items() if v is not None}))

    return spoil


def with_record(sample, *record):
    """One label record replaced."""

    def change(records):
        return [*records[:sample].tolist(), list(record), *records[sample + 1 :].tolist()]

    return with_batch(labels=change)


def with_bytes(change, name=TRAIN):
    """A file changed by a function of its bytes."""

    def spoil(directory):
        path = directory / name
        path.write_bytes(change(path.read_bytes()))

    return spoil


def as_raw(change):
    """The training batch as raw records, changed by a function of its bytes."""

    def spoil(directory):
        path = directory / TRAIN
        batch = pickle.loads(path.read_bytes())
        content = np.hstack([batch["labels"], batch["data"]]).tobytes()
        path.with_suffix(".bin").write_bytes(change(content))
        path.unlink()

    return spoil


def without(name):
    """A file of the directory removed."""
    return lambda directory: (directory / name).unlink()


def nothing(_):
    return None


MISSING = {
    "directory": (
        lambda directory: directory.rename(directory.with_name("elsewhere")),
        ("there is no such directory",),
    ),
    "header": (without(HEADER_NAME), (HEADER_NAME, "image_size", "parameter_names")),
    "batch": (without(TRAIN), ("has no train_batch and no train_batch.bin",)),
}
HEADERS = {
    "key": (with_header(image_size=None), ("has no key 'image_size'",)),
    "no JSON": (with_bytes(lambda _: b"{", HEADER_NAME), ("is not JSON", "line 1")),
    "no object": (with_bytes(lambda _: b"[]", HEADER_NAME), ("holds a list", "one JSON object")),
    "format": (with_header(format="CIFAR-10"), ("'CIFAR-10'", '"CIFAR-100-MH" or "VIMH"')),
    "version": (with_header(version="2.0"), ("'2.0'", 'expected "1.0"')),
    "sum of counts": (with_header(n_samples=9), ("n_samples is 9", "= 250")),
    "size": (with_header(image_size="32"), ("'32'", '"HEIGHTxWIDTHxCHANNELS"')),
    "layout": (with_header(image_layout="WHC"), ("'WHC'", '"CHW" or "HWC"')),
    "name": (
        with_header(parameter_names=["note number"], parameter_mappings={}),
        ("parameter_names[0]", "'note number'", "rename it, to 'note_number'"),
    ),
    "mapping of no parameter": (
        with_header(parameter_mappings={"note_numbr": {"min": 0, "max": 127}}),
        ("parameter_mappings.note_numbr", "unknown parameter", "did you mean note_number?"),
    ),
    "range": (
        with_header(parameter_mappings={"note_number": {"min": 9, "max": 300}}),
        ("parameter_mappings.note_number", "max is 300", "0 <= min <= max <= 255"),
    ),
    "class names": (
        with_header(parameter_mappings={"note_number": {"min": 0, "max": 127, "class_names": []}}),
        ("parameter_mappings.note_number.class_names", "found 0", "expected 128"),
    ),
}
BATCHES = {
    "no pickle": (with_bytes(lambda _: b"GIF89a"), ("not a whole pickle", "byte")),
    "a pickle that runs code": (
        with_batch(data=lambda _: Runs()),
        ("system", "nothing was called", "dict of NumPy arrays or lists"),
    ),
    "a truncated pickle": (with_bytes(lambda b: b[:-9]), ("not a whole pickle", "byte")),
    "an oversized pickle": (with_bytes(lambda b: b + bytes(7)), ("found 7 bytes", "expected 0")),
    "a list": (with_bytes(lambda _: pickle.dumps([])), ("holds a list", "expected a dict")),
    "no data": (with_batch(data=nothing), ("has no key 'data'", "found the keys labels")),
    "no labels": (with_batch(labels=nothing), ("has no labels", "multihead_labels")),
    "no samples": (with_batch(data=lambda x: x[:0]), ("holds no samples", "expected at least 1")),
    "another image size": (
        with_batch(data=lambda x: x[:, :3000]),
        ("sample 0", "found 3000 pixel bytes", "32 x 32 x 3 = 3072"),
    ),
    "a size of its own": (with_batch(height=lambda _: 16), ("height is 16", "expected 32")),
    "ragged images": (
        with_batch(data=lambda x: [*x[:199].tolist(), [0] * 9]),
        ("sample 199", "holds 9 values", "expected 3072"),
    ),
    "an image of other numbers": (
        with_batch(data=lambda x: np.where(x == x.max(), 256, x.astype(int))),
        ("sample 0", "found 256", "0 to 255"),
    ),
    "fewer records than images": (
        with_batch(labels=lambda y: y[:7]),
        ("found 7 label records", "expected 200"),
    ),
    "ragged records": (
        with_record(3, 1, 0, 60),
        ("sample 3", "holds 3 values", "expected 5"),
    ),
    "another N": (with_record(3, 1, 0, 60, 1, 9), ("sample 3", "N = 1", "expected 2")),
    "other ids": (
        with_record(3, 2, 0, 60, 7, 9),
        ("sample 3", "found the ids [0, 7]", "expected [0, 1]"),
    ),
    "a record too short for its N": (
        with_batch(labels=lambda y: y[:, :4]),
        ("sample 0", "record of 4 bytes", "expected 5"),
    ),
    "a record without heads": (with_record(0, 0, 0, 0, 0, 0), ("sample 0", "N = 0", "1 to 255")),
    "a repeated id": (
        with_batch(labels=lambda y: y[:, [0, 1, 2, 1, 4]]),
        ("sample 0", "id 0 twice", "expected each id once"),
    ),
    "a value out of range": (
        with_record(3, 2, 0, 60, 1, 128),
        ("head note_velocity", "sample 3", "found the value 128", "expected 0 to 127"),
    ),
    "another count": (
        with_batch(data=lambda x: x[:9], labels=lambda y: y[:9]),
        ("found 9 samples", "expected 200", "train_samples"),
    ),
}
RAW = {
    "truncated raw records": (
        as_raw(lambda b: b[:-1]),
        ("sample 199", "found 3076 bytes", "expected 3077"),
    ),
    "oversized raw records": (
        as_raw(lambda b: b + b"\2"),
        ("sample 200", "found 1 bytes", "expected 3077"),
    ),
    "no raw records": (as_raw(lambda _: b""), ("holds no samples", "expected at least 1")),
    "a changing raw record": (
        as_raw(lambda b: b[: 3 * 3077] + b"\1" + b[3 * 3077 + 1 :]),
        ("sample 3", "N = 1", "expected 2"),
    ),
}
IN_THE_WILD = {"header", "format", "version", "sum of counts", "another count"}


@dataclass(frozen=True)
class Case:
    """A way to spoil a directory, and what its refusal is, names first and says besides."""

    spoil: Callable[[Path], object]
    parts: tuple[str, ...]
    kind: type[Exception]
    file: str


CASES = {
    name: Case(spoil, parts, kind, file)
    for kind, file, cases in (
        (FileNotFoundError, "", MISSING),
        (ValueError, f"/{HEADER_NAME}", HEADERS),
        (ValueError, f"/{TRAIN}", BATCHES),
        (ValueError, f"/{TRAIN}.bin", RAW),
    )
    for name, (spoil, parts) in cases.items()
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def spoilt(foreign, tmp_path):
    """Writes the data set of another program, and spoils it; gives the directory."""

    def write(spoil):
        directory = foreign.write(tmp_path / "data")
        spoil(directory)
        return directory

    return write


def refusal(opening):
    with pytest.raises(MhrayError) as error:
        opening()
    return error.value


@every_case
def test_what_is_wrong_is_told_with_its_place(spoilt, case):
    directory = spoilt(case.spoil)
    error = refusal(lambda: CIFAR100MHDataset(directory))
    assert isinstance(error, case.kind)
    assert str(error).startswith(f"{directory}{case.file}: ")
    assert [part for part in case.parts if part not in str(error)] == []


@every_case
def test_a_command_ends_with_the_same_words(spoilt, capsys, case):
    directory = spoilt(case.spoil)
    assert inspect_directory([str(directory)]) == 2
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", f"{refusal(lambda: CIFAR100MHDataset(directory))}\n")


@every_case
def test_no_error_waits_for_the_first_epoch(spoilt, case):
    assert isinstance(refusal(CIFAR100MHDataModule(spoilt(case.spoil)).setup), case.kind)


@pytest.mark.parametrize("name", [name for name in CASES if name not in IN_THE_WILD])
def test_in_the_wild_most_is_refused_all_the_same(spoilt, name):
    directory = spoilt(CASES[name].spoil)
    error = refusal(lambda: CIFAR100MHDataset(directory, strict=False))
    assert isinstance(error, CASES[name].kind)


@pytest.mark.parametrize("name", sorted(IN_THE_WILD - {"header"}))
def test_in_the_wild_a_foreign_format_and_other_counts_are_warnings(spoilt, name):
    directory = spoilt(CASES[name].spoil)
    with pytest.warns(UserWarning, match=r"expected|found") as warned:
        assert CIFAR100MHDataset(directory, strict=False).get_image_shape() == (3, 32, 32)
    told = "\n".join(str(warning.message) for warning in warned)
    assert [part for part in CASES[name].parts if part not in told] == []


def test_in_the_wild_a_missing_header_means_the_usual_size_and_numbered_heads(spoilt):
    data = CIFAR100MHDataset(spoilt(without(HEADER_NAME)), strict=False)
    assert data.get_image_shape() == (3, 32, 32)
    assert list(data.get_heads_config()) == ["param_0", "param_1"]


def test_all_problems_of_a_header_are_told_at_once(spoilt):
    directory = spoilt(with_header(image_size="32", image_layout="WHC", format="CIFAR-10"))
    lines = str(refusal(lambda: CIFAR100MHDataset(directory))).splitlines()
    assert len(lines) == 3
    assert all(line.startswith(f"{directory / HEADER_NAME}: ") for line in lines)


def test_a_training_batch_alone_opens_and_only_the_other_one_is_missing(spoilt):
    directory = spoilt(without("test_batch"))
    assert len(CIFAR100MHDataset(directory)) == 200
    error = refusal(lambda: CIFAR100MHDataset(directory, train=False))
    assert isinstance(error, FileNotFoundError)
    assert str(error).startswith(f"{directory}: has no test_batch and no test_batch.bin")


def test_a_pickle_that_would_run_code_is_refused_before_it_runs(spoilt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    directory = spoilt(with_batch(data=lambda _: Runs()))
    error = refusal(lambda: CIFAR100MHDataset(directory, strict=False))
    assert isinstance(error, UnsafePickleError)
    assert not (tmp_path / "ran").exists()


def test_what_is_refused_leaves_nothing_beside_it(spoilt):
    directory = spoilt(with_batch(labels=lambda y: y[:7]))
    before = sorted(directory.iterdir())
    assert isinstance(refusal(lambda: CIFAR100MHDataset(directory)), DataFormatError)
    assert sorted(directory.iterdir()) == before


def test_a_run_on_a_spoilt_directory_ends_with_code_2(spoilt, tmp_path, monkeypatch, capfd):
    directory = spoilt(with_record(3, 2, 0, 60, 1, 128))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    overrides = ["experiment=cifar100mh_cnn", f"data.data_dir={directory}"]
    monkeypatch.setattr("sys.argv", ["mhray.train", *overrides])
    with pytest.raises(SystemExit) as end:
        train()
    told = capfd.readouterr()
    assert (end.value.code, told.out) == (2, "")
    assert told.err.startswith(f"error: {directory / TRAIN}: head note_velocity: sample 3: ")
