"""How many more trials an hour does mhray finish than the same trials as Ray's tutorial has them?

    python benchmarks/sweep.py

Both sides train the same network on the same data for the same epochs, to the end, with the same
number of trials on the same cores; each is a command of its own, timed from its start to its end,
and the two take turns. The spread is the range of the ratio over the repeats.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import joblib

from mhray.data.prepare import main as prepare
from mhray.training.origin import commit

HERE = Path(__file__).resolve().parent


def timed(command, directory):
    started = time.perf_counter()
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


def ours(options, data, directory):
    return timed(
        [
            sys.executable,
            "-m",
            "mhray.sweep",
            str(HERE.parent / "configs/sweep_weights.yaml"),
            "confirm=null",
            f"base.data.data_dir={data}",
            f"base.trainer.max_epochs={options.epochs}",
            f"budget.trials={options.trials}",
            "scheduler=null",
            f"storage={directory}/studies",
            f"mlflow.tracking_uri=sqlite:///{directory}/mlflow.db",
        ],
        directory,
    )


def theirs(options, data, directory):
    return timed(
        [
            sys.executable,
            str(HERE / "tutorial_sweep.py"),
            *("--data", str(data)),
            *("--storage", str(directory)),
            *("--trials", str(options.trials)),
            *("--epochs", str(options.epochs)),
        ],
        directory,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=8, help="trials of each sweep")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of each trial")
    parser.add_argument("--repeats", type=int, default=2, help="sweeps of each side")
    options = parser.parse_args()
    ratios = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "multimnist"
        prepare(["multimnist", str(data)])
        for repeat in range(options.repeats):
            seconds = {}
            for name, side in (("ours", ours), ("theirs", theirs)):
                directory = Path(folder) / f"{name}-{repeat}"
                directory.mkdir()
                seconds[name] = side(options, data, directory)
                rate = options.trials / seconds[name] * 3600
                print(f"{name:7} {seconds[name]:7.1f} s  {rate:7.0f} trials/h", flush=True)
            ratios.append(seconds["theirs"] / seconds["ours"])
    print(
        json.dumps(
            {
                "trials_per_hour": round(statistics.median(ratios), 2),
                "trials_per_hour_spread": round(max(ratios) - min(ratios), 2),
                "trials": options.trials,
                "epochs": options.epochs,
                "repeats": options.repeats,
                "commit": commit(),
                "cores": joblib.cpu_count(),
            }
        )
    )


if __name__ == "__main__":
    main()
