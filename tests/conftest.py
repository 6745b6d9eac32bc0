"""What several tests need: small data sets, and commands run as a user runs them."""

import json
import logging
import os
import pickle
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from mhray.data.prepare import main as prepare
from mhray.train import main as train

pytest.register_assert_rewrite(
    "mhray.data.dataset_contract",
    "mhray.models.network_contract",
    "mhray.models.weighting_contract",
)

# No example is too slow: how long one takes says what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def _what_tests_start_is_not_measured():
    """For coverage: it would make the start of commands and of Ray's processes a quarter slower."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_signal_is_ignored():
    """As some are under nohup, or in the background of a shell, for all processes of the tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    ignored = [number for number, handler in before.items() if handler == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.default_int_handler)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def _root_logger_as_before():
    """Takes away the handlers that Hydra installs in a test; their stream ends with the test."""
    root = logging.getLogger()
    before = list(root.handlers)
    yield
    for handler in set(root.handlers).difference(before):
        if type(handler) in (logging.StreamHandler, logging.FileHandler):
            root.removeHandler(handler)
            handler.close()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory):
    """The speeds of a test's sweeps are no forecast for the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session", autouse=True)
def _rays_of_their_own():
    """No test runs on a Ray that happens to run on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_ADDRESS", "local")
        yield


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """A multimnist directory of 600 training and 100 test images."""
    directory = tmp_path_factory.mktemp("data") / "multimnist"
    prepare(["multimnist", str(directory), "--train", "600", "--test", "100"])
    return directory


def pickled(pixels, records):
    """A batch as most programs write it."""
    return pickle.dumps({"data": pixels, "labels": records})


@dataclass(frozen=True)
class Foreign:
    """A data set in the hands of another program, which knows NumPy, pickle and json alone.

    Attributes:
        directory: where it stands as two pickles of planar images.
        images: of each batch, ``(samples, channels, height, width)``.
        records: of each batch, ``(samples, 1 + 2 * heads)``.
    """

    directory: Path
    header: dict
    images: dict
    records: dict

    def write(self, directory, encode=pickled, suffix="", **header):
        """Write it into another directory, in another form or under a changed header."""
        directory.mkdir(parents=True)
        fields = self.header | header
        for name, images in self.images.items():
            is_planar = fields.get("image_layout") != "HWC"
            stored = images if is_planar else images.transpose(0, 2, 3, 1)
            content = encode(stored.reshape(len(images), -1), self.records[name])
            (directory / f"{name}{suffix}").write_bytes(content)
        (directory / "cifar100mh_dataset_info.json").write_text(json.dumps(fields))
        return directory


EXAMPLE_HEADER = {
    "format": "CIFAR-100-MH",
    "version": "1.0",
    "dataset_name": "example_dataset",
    "n_samples": 250,
    "train_samples": 200,
    "test_samples": 50,
    "image_size": "32x32x3",
    "parameter_names": ["note_number", "note_velocity"],
    "parameter_mappings": {
        name: {
            "min": 0,
            "max": 127,
            "description": f"MIDI {name.replace('_', ' ')}",
            "scale": "linear",
        }
        for name in ("note_number", "note_velocity")
    },
}


@pytest.fixture(scope="session")
def foreign(tmp_path_factory):
    """200 training and 50 test images, 32x32x3, with the heads of the format's own example."""
    draw = np.random.default_rng(0)
    images, records = {}, {}
    for name, size in (("train_batch", 200), ("test_batch", 50)):
        images[name] = draw.integers(256, size=(size, 3, 32, 32), dtype=np.uint8)
        # [N] [id] [value] [id] [value]: the notes of a piano, so that a range may start above 0.
        records[name] = draw.integers((2, 0, 21, 1, 0), (3, 1, 109, 2, 128), (size, 5), np.uint8)
    directory = tmp_path_factory.mktemp("foreign") / "data" / "cifar100mh"
    made = Foreign(directory, EXAMPLE_HEADER, images, records)
    made.write(directory)
    return made


COARSE_OF = [0, 0, 1, 1, 2, 2]  # of the fine classes; a seventh and a fourth coarse one are empty


@pytest.fixture(scope="session")
def fine_coarse(tmp_path_factory):
    """A directory of 300 training and 100 test images of 16x16 pixels, with three heads.

    ``fine`` tells ``coarse``, whose values begin at 5, and ``noise`` has nothing to do with images.
    """
    draw = np.random.default_rng(0)
    looks = draw.integers(256, size=(6, 3, 16, 16))
    header = EXAMPLE_HEADER | {
        "n_samples": 400,
        "train_samples": 300,
        "test_samples": 100,
        "image_size": "16x16x3",
        "parameter_names": ["coarse", "fine", "noise"],
        "parameter_mappings": {
            "coarse": {"min": 5, "max": 8, "scale": "categorical"},
            "fine": {"min": 0, "max": 6, "scale": "categorical"},
            "noise": {"min": 0, "max": 3, "scale": "categorical"},
        },
    }
    images, records = {}, {}
    for name, size in (("train_batch", 300), ("test_batch", 100)):
        fine, noise = np.arange(size) % 6, draw.integers(4, size=size)
        blurred = looks[fine] + draw.normal(0, 60, (size, 3, 16, 16))
        images[name] = blurred.clip(0, 255).astype(np.uint8)
        coarse = np.array(COARSE_OF)[fine] + 5
        columns = (np.full(size, 3), 0 * fine, coarse, 0 * fine + 1, fine, 0 * fine + 2, noise)
        records[name] = np.stack(columns, axis=1).astype(np.uint8)
    directory = tmp_path_factory.mktemp("hierarchy") / "fine_coarse"
    return Foreign(directory, header, images, records).write(directory)


@pytest.fixture
def command(tmp_path):
    """Runs ``python -m MODULE ARGUMENTS`` in an empty directory; gives the finished process."""

    def run(module, *arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd):
    """The command in this process: gives its exit code, its output and its errors."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr("sys.argv", ["mhray.train", *map(str, arguments)])
        monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
        try:
            code = train() or 0
        except SystemExit as end:
            code = end.code
        return code, *capfd.readouterr()

    return run


@pytest.fixture
def small_run(small_data):
    """Overrides of a run that takes a second."""
    return [
        "experiment=cifar100mh_cnn",
        f"data.data_dir={small_data}",
        "data.batch_size=60",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
    ]
