"""The Optuna study in which a journal writes: where it is, and what trials in it are told."""

import sqlite3
import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
from alembic.util import CommandError
from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from mhray.errors import StorageError, did_you_mean, full_disk, without_password
from mhray.tuning.copying import finish_replacing
from mhray.tuning.study import Study

DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
FAILURES = (SQLAlchemyError, StorageInternalError, OSError)
# As SQLite and the system say it, the latter through a server too.
FULL = ("disk is full", "No space left on device")
BUILDING_TRIES, BUILDING_PAUSE = 50, 0.1
# What Optuna raises for a missing driver, another program's tables, and rubbish in a file.
NO_JOURNAL = (
    ImportError,
    CommandError,
    RuntimeError,
    ValueError,
    AssertionError,
    sqlite3.Error,
)


def open_study(study: Study, directory: Path) -> tuple[optuna.Study, BaseStorage]:
    """The Optuna study of a study's name, created if need be, and the storage that holds it.

    Raises:
        StorageError: the database cannot be opened or is not one.
    """
    where = place_of(study, directory)
    with _opening(where):
        storage = _storage_at(where)
        finish_replacing(storage, study.name)
        opened = optuna.create_study(
            storage=storage,
            study_name=study.name,
            directions=directions_of(study),
            load_if_exists=True,
        )
    return opened, storage


def study_beside(
    storage: BaseStorage, name: str, directions: Sequence[StudyDirection]
) -> optuna.Study:
    """A study in a storage that is open already, created if need be."""
    with writing():
        return optuna.create_study(
            storage=storage, study_name=name, directions=directions, load_if_exists=True
        )


def study_in(storage: BaseStorage, name: str) -> optuna.Study | None:
    """A study of a storage that is open already, which stays as it is; None if it has none."""
    with writing():
        if name not in optuna.get_all_study_names(storage):
            return None
        return optuna.load_study(storage=storage, study_name=name)


def open_storage(where: str) -> BaseStorage:
    """A storage, whatever studies it holds.

    Raises:
        StorageError: the database cannot be opened or is not one.
    """
    with _opening(where):
        return _storage_at(where)


def find_study(name: str, where: str) -> tuple[optuna.Study, BaseStorage]:
    """The Optuna study of a name in a storage that is there already, which stays as it is.

    Raises:
        StorageError: the storage cannot be opened, or has no study of this name.
    """
    file = make_url(where).database if where.startswith("sqlite:") else None
    file = where.removeprefix("journal-file:") if where.startswith("journal-file:") else file
    if file is not None and not Path(file).is_file():
        raise StorageError(
            f"journal: there is no {file}, so the study {name} has not been started; run it first"
        )
    storage = open_storage(where)
    with _opening(where):
        names = optuna.get_all_study_names(storage)
        if name in names:
            return optuna.load_study(storage=storage, study_name=name), storage
    raise StorageError(
        f"journal: {without_password(where)} has no study named {name}; {did_you_mean(name, names)}"
    )


def place_of(study: Study, directory: Path) -> str:
    """Where the storage of a study is."""
    return study.journal if study.journal != "auto" else f"sqlite:///{directory}/journal.db"


def close(storage: BaseStorage) -> None:
    """Let go of a database's file, which may then be moved."""
    if isinstance(storage, RDBStorage):
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def writing() -> Iterator[None]:
    """Makes one error of all that a storage raises when it cannot be written.

    Raises:
        FullDiskError: nothing more fits.
        StorageError: the database is locked, or the server away.
    """
    try:
        yield
    except FAILURES as error:
        reason = _reason_of(error)
        if any(words in reason for words in FULL):
            raise full_disk("the journal") from None
        raise StorageError(
            f"journal: cannot be written ({reason}); mend that, and run the same command again"
        ) from None


def directions_of(study: Study) -> list[StudyDirection]:
    """In which direction each number is better that a complete trial is told with."""
    return [DIRECTIONS[goal.mode] for goal in study.told]


@contextmanager
def _opening(where: str) -> Iterator[None]:
    try:
        yield
    except (*FAILURES, *NO_JOURNAL) as error:
        reason = _reason_of(error)
        if any(words in reason for words in FULL):
            raise full_disk(without_password(where)) from None
        raise StorageError(
            f"journal: {without_password(where)} cannot be opened ({reason}); "
            "write a path you may write to, or move the broken file away"
        ) from None


def _storage_at(where: str) -> BaseStorage:
    if where.startswith("journal-file:"):
        return JournalStorage(JournalFileBackend(where.removeprefix("journal-file:")))
    _refuse_damaged(where)
    _build(where)
    storage = RDBStorage(where)
    # Optuna never closes its connections, of which Python 3.13 warns.
    weakref.finalize(storage, storage.engine.dispose)
    return storage


def _build(where: str) -> None:
    """Make Optuna's tables at a URL, which several programs may do at the same time."""
    for attempt in range(1, BUILDING_TRIES + 1):
        try:
            # What fails in the middle leaves no connection open, as one of a pool would be.
            RDBStorage(where, engine_kwargs={"poolclass": NullPool})
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            # Optuna looks for each table, then makes it; what another has made meanwhile is there.
            is_there = isinstance(error, IntegrityError) or "already exists" in str(error)
            if attempt == BUILDING_TRIES or not is_there:
                raise
            time.sleep(BUILDING_PAUSE)
        else:
            return


def _refuse_damaged(where: str) -> None:
    """Look through a SQLite file: a damaged page would otherwise be met hours later, if at all."""
    url = make_url(where)
    if url.get_backend_name() != "sqlite" or not Path(url.database or "").is_file():
        return
    with closing(sqlite3.connect(str(url.database))) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ValueError(" ".join(str(found).split()))


def _reason_of(error: Exception) -> str:
    """What a database says, in one line; Optuna's own words for a failed commit say nothing."""
    told = error.__cause__ if isinstance(error, StorageInternalError) else None
    return without_password(str(told or error)).splitlines()[0]
