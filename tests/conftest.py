"""What several tests need: a small data set, and commands run as a user runs them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mhray.data.prepare import main as prepare

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def small_data(tmp_path_factory):
    """A multimnist directory of 600 training and 100 test images."""
    directory = tmp_path_factory.mktemp("data") / "multimnist"
    prepare(["multimnist", str(directory), "--train", "600", "--test", "100"])
    return directory


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
def small_run(small_data):
    """Overrides of a run that takes a second."""
    return [
        "experiment=cifar100mh_cnn",
        f"data.data_dir={small_data}",
        "data.batch_size=60",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
    ]
