"""How long does ``--check`` take before it says that nothing is wrong, for each shipped study?

    python benchmarks/check.py

Each check is a command of its own, and after it the imports that any program with PyTorch,
Lightning and Ray begins with are a process of their own: the ratio of the two says how much of the
wait is the check's. Seconds are wall-clock; the ratio is of CPU time, which other work on the
machine stretches less. The spread is the range of the ratio over the repeats.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import joblib

from mhray.training.origin import commit
from mhray.training.project import shipped_directory

IMPORTS = [sys.executable, "-c", "import torch, lightning, ray.train, ray.tune"]


@dataclass(frozen=True)
class Cost:
    """What a command took, in seconds of the clock and of all processors together."""

    wall: float
    cpu: float


def cost_of(command):
    """What a command takes; it ends this one if it fails."""
    before, started = _cpu_of_children(), time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return Cost(time.perf_counter() - started, _cpu_of_children() - before)


def _cpu_of_children():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measured(study, repeats):
    """The figures of one study."""
    command = [sys.executable, "-m", "mhray.sweep", str(study), "--check"]
    pairs = [(cost_of(command), cost_of(IMPORTS)) for _ in range(repeats)]
    ratios = [ours.cpu / imports.cpu for ours, imports in pairs]
    return {
        "study": study.stem,
        "seconds": round(statistics.median(ours.wall for ours, _ in pairs), 1),
        "cpu_seconds": round(statistics.median(ours.cpu for ours, _ in pairs), 1),
        "imports_cpu_seconds": round(statistics.median(imports.cpu for _, imports in pairs), 1),
        "ratio": round(statistics.median(ratios), 2),
        "spread": round(max(ratios) - min(ratios), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="checks of each study")
    options = parser.parse_args()
    cost_of(IMPORTS)  # what a disk holds comes into memory once
    for study in sorted(shipped_directory().glob("configs/sweep_*.yaml")):
        print(json.dumps(measured(study, options.repeats)), flush=True)
    print(json.dumps({"commit": commit(), "cores": joblib.cpu_count(), "repeats": options.repeats}))


if __name__ == "__main__":
    main()
