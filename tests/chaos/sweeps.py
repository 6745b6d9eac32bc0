"""A small real sweep that can be started, watched, attacked and started again.

The study file is written once, and each start is the same command. How often an epoch was trained
is read from the disk: each one that ends replaces ``last.ckpt``, so it is a new file.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.chaos.processes import MARK, Process, marked


@dataclass(frozen=True)
class Shape:
    """How large the attacked sweep is.

    Attributes:
        trials: in all.
        epochs: of each.
        workers: of each trial; with more than one it trains in a worker group.
        batch_size: images, of all workers together.
    """

    trials: int
    epochs: int
    workers: int = 1
    batch_size: int = 32


LOCAL = Shape(trials=6, epochs=5)
GROUPS = Shape(trials=2, epochs=5, workers=2)


def study_of(
    name: str, shape: Shape, data: Path, storage: Path, tracking_uri: str
) -> dict[str, object]:
    """The study file: every trial is complete in the end, so each can be compared."""
    return {
        "name": name,
        "base": {
            "experiment": "cifar100mh_cnn",
            "data.data_dir": str(data),
            "data.batch_size": shape.batch_size,
            "trainer.max_epochs": shape.epochs,
            "trainer.accelerator": "cpu",
        },
        "search": {
            "model.loss_weights": {"simplex": "heads", "floor": 0.05},
            "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
        },
        # What is drawn after a resume differs from what a quiet sweep draws, so all is given.
        "enqueue": [{"model.optimizer.lr": 1e-3 * number} for number in range(2, shape.trials + 1)],
        "scheduler": None,
        "budget": {"trials": shape.trials},
        "resources": {"workers_per_trial": shape.workers, "retries": 5},
        "storage": str(storage),
        "mlflow": {"tracking_uri": tracking_uri},
    }


@dataclass
class Attacked:
    """One command in one directory, however often it is started.

    Attributes:
        command: the words after ``python -m``.
        directory: where it runs; every file of it is below.
        checkpoints: where each trial has a folder with ``last.ckpt``.
        mark: of all its processes.
        saved: the checkpoints seen so far, by trial.
    """

    command: Sequence[str]
    directory: Path
    checkpoints: Path
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    saved: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0

    def start(self) -> None:
        """Start the command, the same each time."""
        self.started = time.monotonic()
        with (self.directory / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command],
                cwd=self.directory,
                env=os.environ | {MARK: self.mark},
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def watch(self, until: Callable[[], bool], seconds: float) -> bool:
        """Look at it until something is true; whether that came before the end and the time."""
        end = time.monotonic() + seconds
        while self.code() is None and time.monotonic() < end:
            self.look()
            if until():
                return True
            time.sleep(0.02)
        self.look()
        return False

    def look(self) -> None:
        """Note the checkpoints that lie there now."""
        for path in self.checkpoints.glob("*/last.ckpt"):
            try:
                status = path.stat()
            except FileNotFoundError:
                continue
            seen = self.saved.setdefault(path.parent.name, set())
            seen.add((status.st_ino, status.st_mtime_ns))

    def code(self) -> int | None:
        """How the last start ended, if it has."""
        return None if self.process is None else self.process.poll()

    def end(self) -> None:
        """Kill the command itself, if it has not ended; no other process."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def processes(self) -> list[Process]:
        """Its processes that live."""
        return marked(self.mark)


def sweep_in(directory: Path, shape: Shape, data: Path, tracking_uri: str) -> Attacked:
    """A sweep of mhray's that has not been started; the study has the directory's name."""
    directory.mkdir(parents=True)
    file = directory / "study.yaml"
    study = study_of(directory.name, shape, data, directory / "studies", tracking_uri)
    file.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    checkpoints = directory / "studies" / directory.name / "checkpoints"
    return Attacked(("mhray.sweep", str(file)), directory, checkpoints)
