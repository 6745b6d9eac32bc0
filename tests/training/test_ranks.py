"""Several ranks train as one process does, on what all of them see together."""

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from mhray.data.prepare import main as prepare


@pytest.fixture(scope="module")
def losses(tmp_path_factory):
    """The losses of each epoch, by the number of ranks and what was trained."""
    place = tmp_path_factory.mktemp("ranks")
    prepare(["multimnist", str(place / "data"), "--train", "150", "--test", "50"])
    script = [sys.executable, Path(__file__).with_name("ranks.py"), place / "data", place / "runs"]
    printed = subprocess.run(script, capture_output=True, text=True, check=True)
    by_run = {}
    for line in printed.stdout.splitlines():
        ranks, name, row = json.loads(line)
        by_run.setdefault((ranks, name), []).append(row)
    return by_run


@pytest.mark.parametrize(
    ("name", "ranks"), [*product(["cnn", "convnext", "vit"], [2, 4]), ("stch", 2)]
)
def test_ranks_train_as_one_process_does(losses, name, ranks):
    alone, shared = losses[1, name], losses[ranks, name]
    assert len(alone) == len(shared) == 7
    assert alone[-1]["train/sum_loss"] < alone[0]["train/sum_loss"]
    for row, expected in zip(shared, alone, strict=True):
        assert row == pytest.approx(expected, rel=1e-4)
