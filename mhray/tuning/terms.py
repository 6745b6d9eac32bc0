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
        directory: in which the driver has left a note.
        token: what the note says.
        versions: those of the driver.
    """

    directory: str
    token: str = field(default_factory=lambda: secrets.token_hex(8))
    versions: Mapping[str, str] = field(default_factory=own_versions)

    @property
    def note(self) -> Path:
        """The driver's file."""
        return Path(self.directory) / f"{NOTE}{self.token}"

    @contextmanager
    def noted(self) -> Iterator[None]:
        """The driver's note, for as long as the context lasts; no directory is left that it made.

        Raises:
            StorageError: it cannot be written.
        """
        made = [path for path in (self.note.parent, *self.note.parents) if not path.exists()]
        try:
            self.note.parent.mkdir(parents=True, exist_ok=True)
            self.note.write_text(self.token, encoding="ascii")
        except OSError as error:
            raise StorageError(
                f"storage: {self.directory} cannot be written ({os.strerror(error.errno or 0)}); "
                "write a directory that you may write to"
            ) from None
        try:
            yield
        finally:
            for file in self.note.parent.glob(f"{self.note.name}*"):
                file.unlink(missing_ok=True)
            for path in made:
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

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
            self._mark_of(node).write_text(self.token, encoding="ascii")
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            return [f"cannot write in {self.directory} ({reason}); let all nodes write there"]
        return []

    def unmarked(self, node: str) -> list[str]:
        """What is wrong with a node that has left word, if that does not arrive here."""
        if self._mark_of(node).is_file():
            return []
        return [f"what it writes in {self.directory} does not arrive here; {STORAGE}"]

    def refuse_this_node(self) -> None:
        """Refuse to run a trial here.

        Raises:
            ClusterError: with all that is wrong with this node.
        """
        if problems := self.problems():
            raise ClusterError(f"cluster: node {platform.node()} {', and '.join(problems)}")

    def _unseen(self) -> list[str]:
        try:
            if self.note.read_text(encoding="ascii") == self.token:
                return []
        except OSError:
            pass
        return [f"does not see {self.directory}; {STORAGE}"]

    def _mark_of(self, node: str) -> Path:
        return self.note.with_name(f"{self.note.name}-{node}")
