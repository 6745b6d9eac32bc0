"""Where the files of trials stay, wherever a trial runs and whichever process asks for them.

On a disk that driver and workers share there is nothing to do: all of them mean the same directory.
With an object store a trial works in a directory of its own machine, and what it writes is in the
store before its epoch is reported; the driver has a copy of what it has asked for.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from typing_extensions import override

from mhray.durable import replacing
from mhray.training.group_files import BEST, LAST, RESULT, TRAIN, GroupFiles
from mhray.training.remote import RemoteDirectory
from mhray.training.result import RunResult
from mhray.training.scratch import scratch

WORDS = ("failure.json", "failure.txt")


@dataclass(frozen=True)
class TrialFiles:
    """The files of a study's trials on a disk that driver and workers share.

    Attributes:
        root: at the driver, has a directory for each trial, named by its number.
    """

    root: str

    def directory(self, number: int) -> Path:
        """Where the driver finds a trial's files."""
        return Path(self.root) / str(number)

    @contextmanager
    def at_hand(self, number: int) -> Iterator[Path]:
        """A trial's directory, as the process that trains reads and writes it."""
        directory = self.directory(number)
        directory.mkdir(parents=True, exist_ok=True)
        yield directory

    def keep(self, number: int, directory: Path) -> None:
        """Have what a trial has written outlive its process."""

    def hear(self, number: int, names: Sequence[str] = WORDS) -> None:
        """Have files of a trial at the driver as they are now; usually, of why it failed."""

    def tell(self, number: int) -> None:
        """Have the driver's word of why a trial failed count, as if the trial had written it."""

    def drop_checkpoints(self, number: int) -> None:
        """Have no checkpoint of a trial kept anywhere but at the driver."""

    def holds_checkpoints(self) -> bool:
        """Whether there is a checkpoint of any trial."""
        return any(Path(self.root).glob("*/*.ckpt"))

    def take_over(self, number: int, parent: int) -> None:
        """Have a trial's checkpoints be those of another.

        Raises:
            OSError: they cannot be copied.
            StorageError: the store says so.
        """
        for name in (BEST, LAST):
            with replacing(self.directory(number) / name) as draft:
                shutil.copyfile(self.directory(parent) / name, draft)

    def of_group(self, number: int) -> GroupFiles:
        """The files of a trial as several workers have them, who may be on several hosts."""
        return GroupFiles(str(self.directory(number)))


@dataclass(frozen=True)
class FilesInStore(TrialFiles):
    """The files of a study's trials in an object store.

    Attributes:
        uri: of their directories.
    """

    uri: str

    @override
    @contextmanager
    def at_hand(self, number: int) -> Iterator[Path]:
        with scratch(str(number)) as directory:
            for name in (LAST, BEST):
                if self._remote(number).fetch(name, directory / name):
                    _note_as_sent(directory / name)
            for name in WORDS:
                self._remote(number).remove(name)
            try:
                yield directory
            finally:
                self._send(number, directory, WORDS)

    @override
    def keep(self, number: int, directory: Path) -> None:
        # The best first: a trial goes on from its last epoch, and knows which was the best.
        if (directory / RESULT).is_file():
            result = RunResult.read(directory)
            replace(result, checkpoint=self._remote(number).below(BEST).uri).write(directory)
        self._send(number, directory, [BEST, LAST, RESULT, "config.yaml"])

    @override
    def hear(self, number: int, names: Sequence[str] = WORDS) -> None:
        directory = self.directory(number)
        directory.mkdir(parents=True, exist_ok=True)
        for name in names:
            if not self._remote(number).fetch(name, directory / name):
                (directory / name).unlink(missing_ok=True)

    @override
    def tell(self, number: int) -> None:
        self._send(number, self.directory(number), WORDS)

    @override
    def drop_checkpoints(self, number: int) -> None:
        for name in (LAST, BEST):
            self._remote(number).remove(name)

    @override
    def holds_checkpoints(self) -> bool:
        remote = RemoteDirectory(self.uri)
        folders = [remote.below(name) for name in remote.folders()]
        return any(LAST in folder.names() for folder in folders)

    @override
    def take_over(self, number: int, parent: int) -> None:
        for name in (BEST, LAST):
            self._remote(parent).copy(name, self._remote(number))

    @override
    def of_group(self, number: int) -> GroupFiles:
        return GroupInStore(str(self.directory(number)), self, number)

    def _remote(self, number: int) -> RemoteDirectory:
        return RemoteDirectory(self.uri).below(str(number))

    def _send(self, number: int, directory: Path, names: Sequence[str]) -> None:
        for name in names:
            file = directory / name
            if file.is_file() and _written(file) > _written(_note_of(file)):
                self._remote(number).send(file)
                _note_as_sent(file)


@dataclass(frozen=True)
class GroupInStore(GroupFiles):
    """The files of a trial in an object store: each worker has a directory of its own.

    Attributes:
        files: of all trials.
        number: of the trial.
    """

    files: FilesInStore
    number: int

    @override
    @contextmanager
    def at_hand(self) -> Iterator[Path]:
        with self.files.at_hand(self.number) as directory:
            yield directory

    @override
    def keep(self, directory: Path) -> None:
        self.files.keep(self.number, directory)

    @override
    def storage(self) -> dict[str, Any]:
        return self._remote.as_train_has_it()

    @override
    def clear(self) -> None:
        self._remote.below(TRAIN).remove_all()

    @override
    def result(self) -> RunResult:
        with TemporaryDirectory() as folder:
            self._remote.fetch(RESULT, Path(folder) / RESULT)
            return RunResult.read(Path(folder))

    @property
    def _remote(self) -> RemoteDirectory:
        return RemoteDirectory(self.files.uri).below(str(self.number))


def _written(file: Path) -> int:
    return file.stat().st_mtime_ns if file.is_file() else 0


def _note_of(file: Path) -> Path:
    """A file as old as what the store has."""
    return file.with_name(f".{file.name}.sent")


def _note_as_sent(file: Path) -> None:
    note = _note_of(file)
    note.touch()
    os.utime(note, ns=(_written(file), _written(file)))
