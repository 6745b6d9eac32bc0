"""CIFAR-100 as its authors publish it, as a CIFAR-100-MH directory.

The archive ``cifar-100-python.tar.gz`` holds three pickles of Python 2: ``train``, ``test`` and
``meta``, the names of the classes (Krizhevsky 2009). They are read in memory, by the reader that
runs no code, and nothing is ever unpacked: no name in an archive becomes a path.
"""

import tarfile
import zlib
from collections.abc import Iterator, Mapping
from gzip import BadGzipFile
from lzma import LZMAError
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from mhray.data.header import Header, Parameter
from mhray.data.pickle_batch import text_keys
from mhray.data.records import Bytes, Split, shown
from mhray.data.safe_pickle import PickledArray, parse_pickle
from mhray.data.writing import refuse_existing, write_dataset
from mhray.errors import DataFormatError, DataNotFoundError, StorageError, reading
from mhray.heads import CATEGORICAL

SIDE, CHANNELS = 32, 3
CLASSES = {"fine": 100, "coarse": 20}

_FOLDER, _NAMES = "cifar-100-python", ("train", "test", "meta")
_WHAT_TO_WRITE = (
    f"write the path of {_FOLDER}.tar.gz, or of the directory that was unpacked from it"
)
# The largest member, train, has 155 million bytes; a compressed file could ask for any number.
_LARGEST_MEMBER = 512 * 2**20  # bytes

Member = Mapping[str, object]


def build_cifar100(directory: Path, archive: Path | None = None) -> None:
    """Write CIFAR-100 as raw records, with the heads ``fine_label`` and ``coarse_label``.

    Without an ``archive``, which may be an unpacked directory too, torchvision downloads it.

    Raises:
        StorageError: the directory exists, or the archive cannot be had.
        DataNotFoundError: there is no archive, or one of its members is missing.
        DataFormatError: it is not what its authors published.
    """
    refuse_existing(directory)
    if archive is None:
        with TemporaryDirectory() as place:
            members = _read_members(_download(Path(place)))
    else:
        members = _read_members(archive)
    train, test, meta = (members[name] for name in _NAMES)
    write_dataset(directory, _header_of(*meta), _split_of(*train), _split_of(*test), raw=True)


def _download(place: Path) -> Path:
    # torchvision takes seconds to import, and only this needs it.
    from torchvision.datasets import CIFAR100  # noqa: PLC0415
    from torchvision.datasets.utils import download_url  # noqa: PLC0415

    filename = str(CIFAR100.filename)
    try:
        download_url(CIFAR100.url, place, filename, CIFAR100.tgz_md5)
    except (OSError, RuntimeError) as error:
        raise StorageError(
            f"{CIFAR100.url}: cannot be downloaded ({error}); write --archive FILE, with a "
            f"{filename} that you have"
        ) from None
    return place / filename


def _read_members(archive: Path) -> dict[str, tuple[Member, Path]]:
    """The members that are needed, by name, each with the path that messages give it."""
    if not archive.exists():
        raise DataNotFoundError(f"{archive}: there is no such file; {_WHAT_TO_WRITE}")
    members = _unpacked(archive) if archive.is_dir() else _packed(archive)
    found = {}
    with reading(archive):
        for path, content in members:
            found[path.name] = text_keys(parse_pickle(content, path), path, "a dict"), path
    missing = [f"{_FOLDER}/{name}" for name in _NAMES if name not in found]
    if missing:
        raise DataNotFoundError(f"{archive}: has no {', '.join(missing)}; {_WHAT_TO_WRITE}")
    return found


def _unpacked(directory: Path) -> Iterator[tuple[Path, bytes]]:
    folder = directory / _FOLDER if (directory / _FOLDER).is_dir() else directory
    for path in (folder / name for name in _NAMES):
        if path.is_file():
            yield path, path.read_bytes()


def _packed(archive: Path) -> Iterator[tuple[Path, bytes]]:
    """The members in the order of the file, so that it is read but once, and to its checksum."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                stream = tar.extractfile(member) if member.isfile() else None
                path = PurePosixPath(member.name)
                if stream is None or path not in [PurePosixPath(_FOLDER, name) for name in _NAMES]:
                    continue
                if member.size > _LARGEST_MEMBER:
                    raise DataFormatError(
                        f"{archive}: {member.name} has {member.size} bytes; "
                        f"expected {_LARGEST_MEMBER} at most"
                    )
                yield archive / path, stream.read()
            while tar.fileobj is not None and tar.fileobj.read(2**20):
                pass
    except (tarfile.TarError, EOFError, zlib.error, LZMAError, BadGzipFile) as error:
        # tarfile lists on further lines what each kind of compression had to say.
        reason = str(error).partition(":\n")[0]
        raise DataFormatError(
            f"{archive}: is not a whole archive ({reason}); {_WHAT_TO_WRITE}"
        ) from None


def _header_of(meta: Member, path: Path) -> Header:
    return Header(
        dataset_name="cifar100",
        height=SIDE,
        width=SIDE,
        channels=CHANNELS,
        parameter_names=tuple(f"{kind}_label" for kind in CLASSES),
        parameters=tuple(
            Parameter(
                name=f"{kind}_label",
                minimum=0,
                maximum=classes - 1,
                description=f"what is in the image, one of {classes} classes",
                scale=CATEGORICAL,
                class_names=_class_names(meta, f"{kind}_label_names", classes, path),
            )
            for kind, classes in CLASSES.items()
        ),
    )


def _class_names(meta: Member, key: str, classes: int, path: Path) -> tuple[str, ...]:
    names = _list_of(meta, key, path, classes, "one per class")
    if wrong := [name for name in names if not isinstance(name, str | bytes)]:
        raise DataFormatError(f"{path}: {key!r} holds {shown(wrong[0])}; expected names")
    return tuple(name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names)


def _split_of(batch: Member, path: Path) -> Split:
    if "data" not in batch:
        raise DataFormatError(f"{path}: has no key 'data'; {_WHAT_TO_WRITE}")
    data = batch["data"]
    pixels = CHANNELS * SIDE * SIDE
    if not isinstance(data, PickledArray):
        raise DataFormatError(f"{path}: 'data' is a {type(data).__name__}; expected an array")
    found = data.array
    if found.dtype != np.uint8 or found.ndim != 2 or found.shape[1] != pixels or not len(found):  # noqa: PLR2004
        raise DataFormatError(
            f"{path}: 'data' is an array of {found.dtype}, of shape {found.shape}; "
            f"expected uint8, (images, {pixels})"
        )
    labels = [_labels(batch, f"{kind}_labels", n, path, len(found)) for kind, n in CLASSES.items()]
    images = found.reshape(-1, CHANNELS, SIDE, SIDE)
    return Split(images, tuple(range(len(labels))), np.stack(labels, axis=1))


def _labels(batch: Member, key: str, classes: int, path: Path, images: int) -> Bytes:
    labels = _list_of(batch, key, path, images, "one per image")
    for sample, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < classes:
            raise DataFormatError(
                f"{path}: sample {sample}: found {shown(label)} in {key!r}; "
                f"expected 0 to {classes - 1}"
            )
    return np.array(labels, np.uint8)


def _list_of(member: Member, key: str, path: Path, length: int, why: str) -> list[Any]:
    if key not in member:
        raise DataFormatError(f"{path}: has no key {key!r}; {_WHAT_TO_WRITE}")
    found = member[key]
    if not isinstance(found, list):
        raise DataFormatError(f"{path}: {key!r} is a {type(found).__name__}; expected a list")
    if len(found) != length:
        raise DataFormatError(f"{path}: {key!r} has {len(found)} entries; expected {length}, {why}")
    return found
