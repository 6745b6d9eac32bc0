"""The result of one run, as ``result.json`` in the run's directory."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mhray.durable import write_durably
from mhray.errors import filling


@dataclass(frozen=True)
class RunResult:
    """What a run leaves behind: all metrics of its best epoch, and how it came about.

    Attributes:
        metrics: every logged metric of the best epoch, and the network's cost, by name.
        epoch: the best epoch, counted from 1.
        epochs: how many epochs were trained.
        checkpoint: the best epoch's checkpoint file.
        overrides: as typed after ``python -m mhray.train``.
        global_batch: images per step, over all workers.
        samples_per_rank: images of the train split that each worker sees in an epoch.
        images_per_second: trained in the last epoch, by all workers together.
        tags: the words of ``tags``.
    """

    metrics: dict[str, float]
    epoch: int
    epochs: int
    checkpoint: str
    seed: int
    overrides: tuple[str, ...]
    workers: int
    global_batch: int
    samples_per_rank: tuple[int, ...]
    images_per_second: float
    tags: tuple[str, ...]

    def write(self, directory: Path) -> None:
        """Write ``result.json``, whole or not at all."""
        with filling(directory):
            write_durably(directory / "result.json", json.dumps(asdict(self), indent=2) + "\n")

    @classmethod
    def read(cls, directory: Path) -> "RunResult":
        """The result that :meth:`write` left in a directory."""
        fields = json.loads((directory / "result.json").read_text(encoding="utf-8"))
        lists = {name: tuple(fields[name]) for name in ("overrides", "samples_per_rank", "tags")}
        return cls(**fields | lists)
