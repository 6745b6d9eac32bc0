"""The data sets that mhray can build by itself, by name.

A name here is known to ``python -m mhray.data.prepare`` and to ``data.source=``.
"""

from pathlib import Path

from mhray.data.batches import describe_directory
from mhray.data.sources.multimnist import MultiMNIST
from mhray.data.sources.source import Source
from mhray.errors import ConfigError, DataNotFoundError, StorageError, did_you_mean
from mhray.heads import Head

SOURCES: dict[str, Source] = {source.name: source for source in (MultiMNIST(),)}


def source_named(name: str, where: str = "data.source") -> Source:
    """The source of this name; ``where`` opens the message if there is none.

    Raises:
        ConfigError: with the name that was probably meant.
    """
    if name not in SOURCES:
        raise ConfigError(f"{where}: unknown source {name!r}; {did_you_mean(name, SOURCES)}")
    return SOURCES[name]


def describe_data(
    data_dir: Path | str, source: str | None
) -> tuple[tuple[Head, ...], tuple[int, int, int]]:
    """The heads and the image shape ``(channels, height, width)`` that a data module will have.

    Read from the directory if it exists, else known from the source, which is not built.

    Raises:
        DataNotFoundError: there is neither a directory nor a source.
        ConfigError: there is no such source.
    """
    if Path(data_dir).is_dir():
        return describe_directory(data_dir)
    if source is None:
        raise nothing_at(Path(data_dir))
    found = source_named(source)
    return found.heads, found.image_shape


def build_if_missing(data_dir: Path, source: str | None) -> None:
    """Build a data set where there is none; a directory that exists is left as it is.

    Raises:
        DataNotFoundError: there is nothing, and no source to build it from.
        StorageError: it cannot be written.
    """
    if data_dir.exists():
        return
    if source is None:
        raise nothing_at(data_dir)
    try:
        source_named(source).build_default(data_dir)
    except StorageError:
        # Another process may have built it meanwhile, and then it is as good as ours.
        if not data_dir.is_dir():
            raise


def nothing_at(data_dir: Path) -> DataNotFoundError:
    """The error for a directory that does not exist."""
    return DataNotFoundError(
        f"data.data_dir: there is no directory {data_dir}; write data.data_dir=DIR, or "
        f"data.source={'|'.join(SOURCES)} to build it there"
    )
