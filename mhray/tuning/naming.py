"""Which study is meant: a study file, or `<storage>/<name>`, the directory that it has of its own.

Reading a study needs no more of its file than its name and where its journal is, so a file that
has mistakes elsewhere, or that has changed since, still names its study.
"""

from pathlib import Path

from mhray.errors import ConfigError, did_you_mean
from mhray.training.project import as_shipped, shipped_directory
from mhray.tuning.journal import Journal
from mhray.tuning.places import directory_of
from mhray.tuning.storage import place_of
from mhray.tuning.study_file import read_study

JOURNAL = "journal.db"


def journal_of(named: str) -> tuple[Journal, Path]:
    """The journal of a study that was started before, and the study's directory.

    Raises:
        ConfigError: there is no such file or directory, or its journal is elsewhere.
        StorageError: the journal cannot be opened, or does not hold the study.
    """
    path = as_shipped(Path(named))
    if path.is_file():
        study = read_study(path, (), shipped_directory()).study
        directory = directory_of(study)
        return Journal.find(study.name, place_of(study, directory)), directory
    if (path / JOURNAL).is_file():
        return Journal.find(path.resolve().name, f"sqlite:///{path / JOURNAL}"), path
    if path.is_dir():
        raise ConfigError(
            f"{named}: there is no {JOURNAL} in it, so its journal is elsewhere; write its study "
            "file, which says where"
        )
    known = [str(found) for found in study_directories(path.parent)]
    hint = did_you_mean(named, known) if known else "write a study file, or <storage>/<name>"
    raise ConfigError(f"{named}: is neither a study file nor a study's directory; {hint}")


def study_directories(storage: Path) -> list[Path]:
    """The directories of a storage that hold a journal, by name."""
    return sorted(path.parent for path in storage.glob(f"*/{JOURNAL}"))
