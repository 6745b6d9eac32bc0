"""A process's own directory goes with it, and what a killed one left goes with the next."""

import subprocess
import sys
import tempfile

import pytest

from mhray.training.scratch import scratch

KILLED = """
import os, signal
from mhray.training.scratch import scratch

with scratch("0") as directory:
    (directory / "last.ckpt").touch()
    print(directory, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The directory of temporary ones, here and in processes that are started here."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def test_a_directory_goes_with_its_use(temporary):
    with scratch("3") as directory:
        assert directory.name.startswith("mhray-trial-3-")
        assert directory.parent == temporary
    assert list(temporary.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(temporary):
    subprocess.run([sys.executable, "-c", KILLED], check=False)
    [left] = temporary.iterdir()
    assert (left / "last.ckpt").is_file()
    with scratch("1") as directory:
        assert list(temporary.iterdir()) == [directory]


def test_what_a_living_one_holds_stays(temporary):
    with scratch("0") as first, scratch("1") as second:
        assert {*temporary.iterdir()} == {first, second}


def test_what_is_no_directory_of_ours_stays(temporary):
    (temporary / "mhray-trial-plan").mkdir()
    with scratch("0"):
        assert (temporary / "mhray-trial-plan").is_dir()
