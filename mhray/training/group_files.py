"""Where the workers of one model have the files of its run: a directory that all of them see."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mhray.training.result import RunResult

LAST, BEST, RESULT = "last.ckpt", "best.ckpt", "result.json"
TRAIN = "ray"  # what Train keeps for itself, beside them


@dataclass(frozen=True)
class GroupFiles:
    """A run's directory on a disk that the workers share with who started them; travels to them.

    Attributes:
        directory: where that process has the run's files.
    """

    directory: str

    @contextmanager
    def at_hand(self) -> Iterator[Path]:
        """The run's directory, as a worker reads and writes it."""
        yield Path(self.directory)

    def keep(self, directory: Path) -> None:
        """Have what the first worker has written outlive its process."""

    def storage(self) -> dict[str, Any]:
        """Where Train is to keep its own files, in the words of its ``RunConfig``."""
        return {"storage_path": self.directory}

    def clear(self) -> None:
        """Have no files of Train's."""
        shutil.rmtree(Path(self.directory) / TRAIN, ignore_errors=True)

    def result(self) -> RunResult:
        """What the workers leave."""
        return RunResult.read(Path(self.directory))
