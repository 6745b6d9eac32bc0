"""Files in an object store: whatever pyarrow, or fsspec behind it, reaches by a URI.

Imported where a study has such a storage, and opened in each process: a connection does not travel.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import fsspec
from pyarrow import ArrowException
from pyarrow.fs import FileSelector, FileSystem, FileType, FSSpecHandler, PyFileSystem, copy_files

from mhray.durable import replacing
from mhray.errors import StorageError, without_password

# An object store has no directories; a file of a file system is there while it is written.
WITHOUT_DIRECTORIES = {"s3", "gcs", "abfs"}
SHOW_DRAFTS = {"local", "hdfs"}
PYARROWS = {"file", "s3", "gs", "gcs", "hdfs", "viewfs", "abfs", "abfss"}  # its own; fsspec's else


@dataclass(frozen=True)
class RemoteDirectory:
    """A directory by its URI; it comes to be with its first file.

    Attributes:
        uri: without a slash at its end.
    """

    uri: str

    def below(self, name: str) -> "RemoteDirectory":
        """A directory in it."""
        path, mark, query = self.uri.partition("?")
        return RemoteDirectory(f"{path}/{name}{mark}{query}")

    def open(self) -> None:
        """Make sure that it can be reached.

        Raises:
            StorageError: no such store, or it does not answer.
        """
        self.names()

    def names(self) -> list[str]:
        """The names of the files in it."""
        with _reaching(self.uri):
            files, path = _opened(self.uri)
            found = files.get_file_info(FileSelector(path, allow_not_found=True))
            return sorted(info.base_name for info in found if info.type == FileType.File)

    def folders(self) -> list[str]:
        """The names of the directories in it."""
        with _reaching(self.uri):
            files, path = _opened(self.uri)
            found = files.get_file_info(FileSelector(path, allow_not_found=True))
            return sorted(info.base_name for info in found if info.type == FileType.Directory)

    def read(self, name: str) -> str | None:
        """The text of a file; None if there is none."""
        with _reaching(self.uri):
            files, path = _opened(self.uri)
            try:
                with files.open_input_stream(f"{path}/{name}") as stream:
                    return bytes(stream.read()).decode()
            except FileNotFoundError:
                return None

    def write(self, name: str, text: str) -> None:
        """Have a file with this text."""
        with (
            _reaching(self.uri),
            _replacing(self.uri, name) as (files, place),
            files.open_output_stream(place) as stream,
        ):
            stream.write(text.encode())

    def send(self, file: Path) -> None:
        """Have a copy of a local file under its name."""
        with _reaching(self.uri), _replacing(self.uri, file.name) as (files, place):
            copy_files(str(file), place, destination_filesystem=files)

    def fetch(self, name: str, target: Path) -> bool:
        """Have a local copy of a file; returns whether there is one."""
        if name not in self.names():
            return False
        with _reaching(self.uri), replacing(target) as draft:
            files, path = _opened(self.uri)
            copy_files(f"{path}/{name}", str(draft), source_filesystem=files)
        return True

    def copy(self, name: str, target: "RemoteDirectory") -> None:
        """Have a copy of a file in another directory of the same store."""
        with _reaching(target.uri), _replacing(target.uri, name) as (files, place):
            files.copy_file(f"{_opened(self.uri)[1]}/{name}", place)

    def remove(self, name: str) -> None:
        """Have no file of this name."""
        with _reaching(self.uri):
            files, path = _opened(self.uri)
            try:
                files.delete_file(f"{path}/{name}")
            except FileNotFoundError:
                return

    def remove_all(self) -> None:
        """Have no such directory."""
        with _reaching(self.uri):
            files, path = _opened(self.uri)
            try:
                files.delete_dir(path)
            except FileNotFoundError:
                return

    def move(self, target: "RemoteDirectory") -> None:
        """Have all that is in it, and below it, in another directory of the same store.

        Nothing is deleted before it is copied: called again, it finishes what was cut off.
        """
        for name in self.names():
            self.copy(name, target)
        for folder in self.folders():
            self.below(folder).move(target.below(folder))
        self.remove_all()

    def as_train_has_it(self) -> dict[str, Any]:
        """This directory in the words of Ray Train's ``RunConfig``."""
        with _reaching(self.uri):
            files, path = _opened(self.uri)
        return {"storage_path": path, "storage_filesystem": files}


@cache
def _opened(uri: str) -> tuple[FileSystem, str]:
    if uri.partition("://")[0] in PYARROWS:
        files, path = FileSystem.from_uri(uri)
    else:
        others, path = fsspec.core.url_to_fs(uri)
        files = PyFileSystem(FSSpecHandler(others))
    return files, path.rstrip("/")


@contextmanager
def _replacing(uri: str, name: str) -> Iterator[tuple[FileSystem, str]]:
    """Where to write a file so that nobody sees half of it."""
    files, path = _opened(uri)
    if files.type_name not in WITHOUT_DIRECTORIES:
        files.create_dir(path)
    if files.type_name not in SHOW_DRAFTS:
        yield files, f"{path}/{name}"
        return
    draft = f"{path}/.{name}.draft-{os.getpid()}"
    yield files, draft
    files.move(draft, f"{path}/{name}")


@contextmanager
def _reaching(uri: str) -> Iterator[None]:
    """Turns what a store says into an error of ours.

    Raises:
        StorageError: with what it said.
    """
    try:
        yield
    except (OSError, ArrowException, ValueError, ImportError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise StorageError(
            f"storage: {without_password(uri)} cannot be used ({without_password(reason)}); write "
            "a store that is there, with what may enter it in the environment of every node"
        ) from None
