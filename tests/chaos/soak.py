"""Many trials that do next to nothing in one sweep: does the driver grow, and does it slow down?

    python -m tests.chaos.soak --trials 500 --results benchmarks/soak.jsonl

A trial is one step on one batch of 16 images, and one batch of validation. Memory, open files and
threads of the driver are sampled as each trial ends, from /proc; the line in the results compares
the first tenth of the trials with the last, leaving out those that end while everything starts.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

import optuna
import yaml

from mhray.training.origin import commit
from tests.chaos.processes import kill
from tests.chaos.sweeps import Attacked, Shape, study_of

SECONDS_PER_TRIAL = 60.0
STARTING = 4


@dataclass(frozen=True)
class Sample:
    """The driver, just after so many trials had ended."""

    ended: int
    seconds: float
    memory_mib: float
    open_files: int
    threads: int


def sample(pid: int, ended: int, started: float) -> Sample:
    """The driver now."""
    folder = Path("/proc") / str(pid)
    lines = (folder / "status").read_text().splitlines()
    status = dict(line.split(":", 1) for line in lines if ":" in line)
    return Sample(
        ended=ended,
        seconds=time.monotonic() - started,
        memory_mib=int(status["VmRSS"].split()[0]) / 1024,
        open_files=len(list((folder / "fd").iterdir())),
        threads=int(status["Threads"]),
    )


def soak(root: Path, trials: int) -> list[Sample]:
    """Run the sweep; a sample for each trial's end."""
    data = root / "data"
    words = ["multimnist", str(data), "--train", "640", "--test", "100"]
    subprocess.run([sys.executable, "-m", "mhray.data.prepare", *words], check=True)
    sweep = _sweep_in(root, data, trials)
    samples: list[Sample] = []

    def note() -> bool:
        ended = len(list(sweep.checkpoints.glob("*/result.json")))
        if sweep.process is not None and ended > (samples[-1].ended if samples else 0):
            samples.append(sample(sweep.process.pid, ended, sweep.started))
        return False

    sweep.start()
    sweep.watch(note, trials * SECONDS_PER_TRIAL)
    if sweep.code() != 0:
        kill(sweep.processes())
        raise RuntimeError(f"the sweep did not come to its end; see {root}/output.txt")
    return samples


def summary(samples: list[Sample], trials: int) -> dict[str, object]:
    """The first tenth of the trials beside the last: medians."""
    steady = [each for each in samples if each.ended > STARTING]
    tenth = max(len(steady) // 10, 3)
    first, last = steady[:tenth], steady[-tenth:]
    return {
        "trials": trials,
        "samples": len(samples),
        "hours": round(samples[-1].seconds / 3600, 3),
        "memory_mib": _both(first, last, "memory_mib"),
        "open_files": _both(first, last, "open_files"),
        "threads": _both(first, last, "threads"),
        "gap_seconds": [round(_gap(part), 3) for part in (first, last)],
        "commit": commit(),
        "cores": os.cpu_count(),
    }


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--results", type=Path, help="the file that gets the line")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    root = Path(tempfile.mkdtemp(prefix="soak-"))
    ray_files = tempfile.mkdtemp(prefix="r-")
    os.environ["MHRAY_RAY_TEMP_DIR"] = ray_files
    os.environ["RAY_ADDRESS"] = "local"
    line = summary(soak(root, options.trials), options.trials)
    print(json.dumps(line))
    if options.results is not None:
        with options.results.open("a", encoding="utf-8") as results:
            results.write(json.dumps(line) + "\n")
    shutil.rmtree(root)
    shutil.rmtree(ray_files, ignore_errors=True)


def _sweep_in(root: Path, data: Path, trials: int) -> Attacked:
    shape = Shape(trials=trials, epochs=1, batch_size=16)
    study = study_of("soak", shape, data, root / "studies", f"sqlite:///{root}/mlflow.db")
    limits = {"trainer.limit_train_batches": 1, "trainer.limit_val_batches": 1}
    base = study["base"]
    assert isinstance(base, dict)
    study["base"] = base | limits
    del study["enqueue"]  # so that the sampler draws, which costs more the more trials it knows
    file = root / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return Attacked(("mhray.sweep", str(file)), root, root / "studies" / "soak" / "checkpoints")


def _both(first: list[Sample], last: list[Sample], what: str) -> list[float]:
    return [round(median(float(vars(each)[what]) for each in part), 1) for part in (first, last)]


def _gap(part: list[Sample]) -> float:
    """Seconds from one trial's end to the next."""
    gaps = [(b.seconds - a.seconds) / (b.ended - a.ended) for a, b in pairwise(part)]
    return median(gaps)


if __name__ == "__main__":
    main()
