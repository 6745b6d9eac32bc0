"""On which terms a node takes part in a sweep: the driver's storage, and the driver's versions.

Looked at by a process on the node, before the sweep starts, and by each trial, whose node may have
joined later. A trial that wrote where nobody looks would be lost without a word.
"""

import os
import platform
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import mhray
from mhray.errors import ClusterError, StorageError
from mhray.training.remote import RemoteDirectory

NOTE = ".sweep-"
STORAGE = "write a storage on a disk that every node mounts"


def own_versions() -> dict[str, str]:
    """What has to be the same on all nodes; builds of torch for other devices are."""
    torch = version("torch").partition("+")[0]
    python = ".".join(platform.python_version_tuple()[:2])
    return {"Python": python, "torch": torch, "ray": version("ray"), "mhray": mhray.__version__}


@dataclass(frozen=True)
class Terms:
    """What a node must find as the driver left it; travels there.

    Attributes:
        directory: in which the driver has left a note; its path or its URI.
        token: what the note says.
        versions: those of the driver.
    """

    directory: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    versions: Mapping[str, str] = field(default_factory=own_versions)

    @contextmanager
    def noted(self) -> Iterator[None]:
        """The driver's note, for as long as the context lasts; no directory is left that it made.

        Raises:
            StorageError: it cannot be written.
        """
        with _place(self.directory).held() as place:
            place.write(self._note, self.token)
            try:
                yield
            finally:
                for name in place.names():
                    if name.startswith(self._note):
                        place.remove(name)

    def problems(self) -> list[str]:
        """What is wrong with the node on which this runs."""
        here = own_versions()
        return [
            f"{name} is {here[name]} there and {wanted} here; install {wanted} there"
            for name, wanted in self.versions.items()
            if here[name] != wanted
        ] + self._unseen()

    def mark(self, node: str) -> list[str]:
        """Leave word for the driver; returns why that is not possible."""
        if problems := self.problems():
            return problems
        try:
            _place(self.directory).write(f"{self._note}-{node}", self.token)
        except StorageError as error:
            return [str(error)]
        return []

    def unmarked(self, node: str) -> list[str]:
        """What is wrong with a node that has left word, if that does not arrive here."""
        if _place(self.directory).read(f"{self._note}-{node}") == self.token:
            return []
        return [f"what it writes in {self.directory} does not arrive here; {STORAGE}"]

    def refuse_this_node(self) -> None:
        """Refuse to run a trial here.

        Raises:
            ClusterError: with all that is wrong with this node.
        """
        if problems := self.problems():
            raise ClusterError(f"cluster: node {platform.node()} {', and '.join(problems)}")

    @property
    def _note(self) -> str:
        return f"{NOTE}{self.token}"

    def _unseen(self) -> list[str]:
        try:
            is_seen = _place(self.directory).read(self._note) == self.token
        except StorageError as error:
            return [str(error)]
        return [] if is_seen else [f"does not see {self.directory}; {STORAGE}"]


@dataclass(frozen=True)
class _Disk:
    """A directory, with what the terms need of it and of one in a store."""

    path: Path

    @contextmanager
    def held(self) -> Iterator["_Disk"]:
        """The directory; what had to be made for it is gone afterwards, unless it is in use."""
        made = [path for path in (self.path, *self.path.parents) if not path.exists()]
        try:
            with _writing(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
            yield self
        finally:
            for path in made:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

    def names(self) -> list[str]:
        return [path.name for path in self.path.iterdir()]

    def read(self, name: str) -> str | None:
        try:
            return (self.path / name).read_text(encoding="ascii")
        except OSError:
            return None

    def write(self, name: str, text: str) -> None:
        with _writing(self.path):
            (self.path / name).write_text(text, encoding="ascii")

    def remove(self, name: str) -> None:
        (self.path / name).unlink(missing_ok=True)


class _Store(RemoteDirectory):
    """A directory of an object store; there is none without a file in it."""

    @contextmanager
    def held(self) -> Iterator["_Store"]:
        yield self


def _place(directory: str) -> _Disk | _Store:
    return _Store(directory) if "://" in directory else _Disk(Path(directory))


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"storage: {directory} cannot be written ({os.strerror(error.errno or 0)}); let every "
            "node write there, or write another directory"
        ) from None
