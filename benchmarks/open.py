"""Opening a pickle of 50 000 images, each time in a fresh process, on one core.

Ours is opened for the first time (read, checked, copied, mapped) and for later ones (mapped).
Theirs is the usual way: unpickle, then make a float tensor and a dict of targets of every sample.
The floor is two arrays mapped by ``np.load``. The sides take turns; imports count for none. A ratio
is theirs : ours, the median over the turns; its spread is the range of the paired ratios.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import joblib
import numpy as np
import torch

from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.header import Header, Parameter
from mhray.data.records import Split
from mhray.data.writing import write_dataset
from mhray.training.origin import commit

IMAGES = 50_000
HEADER = Header(
    dataset_name="random",
    height=32,
    width=32,
    channels=3,
    parameter_names=("fine", "coarse"),
    parameters=(Parameter("fine", 0, 99), Parameter("coarse", 0, 19)),
)


def ours(directory):
    return CIFAR100MHDataset(directory)


def theirs(directory):
    batch = pickle.loads((directory / "train_batch").read_bytes())
    samples = []
    for row, record in zip(batch["data"], batch["labels"], strict=True):
        image = torch.tensor(row.reshape(3, 32, 32), dtype=torch.float32) / 255
        pairs = zip(record[1::2].tolist(), record[2::2].tolist(), strict=True)
        targets = {HEADER.name_of(id_): torch.tensor(value) for id_, value in pairs}
        samples.append((image, targets))
    return samples


def floor(directory):
    return [np.load(directory / f"{name}.npy", mmap_mode="r") for name in ("images", "values")]


SIDES = {side.__name__: side for side in (ours, theirs, floor)}


def private_bytes():
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def open_here(side, directory):
    before, start = private_bytes(), time.perf_counter()
    opened = SIDES[side](directory)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "bytes": private_bytes() - before, "n": len(opened)}))


def in_a_fresh_process(side, directory):
    command = [sys.executable, __file__, "--side", side, "--directory", str(directory)]
    one_core = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=one_core)
    return json.loads(done.stdout)


def build(directory):
    draw = np.random.default_rng(0)
    images = draw.integers(256, size=(IMAGES, 3, 32, 32), dtype=np.uint8)
    values = np.stack([draw.integers(n, size=IMAGES) for n in (100, 20)], axis=1).astype(np.uint8)
    write_dataset(directory, HEADER, Split(images, (0, 1), values))
    np.save(directory / "images.npy", images)
    np.save(directory / "values.npy", values)
    # As a file that lies there since yesterday.
    os.utime(directory / "train_batch", (time.time() - 86_400,) * 2)


def one_turn(directory, turn):
    copy = directory / ".train_batch.mapped"
    found = {}
    for side in ("theirs", "first", "later", "floor")[:: -1 if turn % 2 else 1]:
        if side == "first":
            copy.unlink(missing_ok=True)
        elif side == "later":
            ours(directory)
        found[side] = in_a_fresh_process(side if side in SIDES else "ours", directory)
    return found


def compare(turns, side, other, what):
    ratios = [turn[other][what] / turn[side][what] for turn in turns]
    return median(ratios), min(ratios), max(ratios)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="turns of all sides (default: 5)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--directory", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        open_here(options.side, options.directory)
        return
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "data"
        build(directory)
        turns = [one_turn(directory, turn) for turn in range(options.turns)]
    found = {}
    for name, side, other, what in (
        ("first_open", "first", "theirs", "seconds"),
        ("later_open", "later", "theirs", "seconds"),
        ("memory", "later", "theirs", "bytes"),
        ("later_open_to_floor", "floor", "later", "seconds"),
    ):
        ratio, low, high = compare(turns, side, other, what)
        print(f"{name:22}{ratio:10.1f} ({low:.1f} to {high:.1f})")
        found |= {name: round(ratio, 2), f"{name}_spread": round(high - low, 2)}
    found["private_kib"] = round(median(turn["later"]["bytes"] for turn in turns) / 1024)
    print(json.dumps({**found, "commit": commit(), "cores": joblib.cpu_count()}))


if __name__ == "__main__":
    main()
