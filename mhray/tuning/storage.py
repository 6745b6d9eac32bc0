"""The Optuna study in which a journal writes: where it is, and what trials in it are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from alembic.util import CommandError
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from sqlalchemy.exc import SQLAlchemyError

from mhray.errors import StorageError, without_password
from mhray.tuning.study import Study

DIRECTIONS = {"max": StudyDirection.MAXIMIZE, "min": StudyDirection.MINIMIZE}
FAILURES = (SQLAlchemyError, OSError)
# What Optuna raises for a missing driver, another program's tables, and rubbish in a file.
NO_JOURNAL = (ImportError, CommandError, RuntimeError, ValueError, AssertionError)


def open_study(study: Study, directory: Path) -> tuple[optuna.Study, BaseStorage]:
    """The Optuna study of a study's name, created if need be, and the storage that holds it.

    Raises:
        StorageError: the database cannot be opened or is not one.
    """
    where = study.journal if study.journal != "auto" else f"sqlite:///{directory}/journal.db"
    try:
        storage = _storage_at(where)
        opened = optuna.create_study(
            storage=storage,
            study_name=study.name,
            directions=directions_of(study),
            load_if_exists=True,
        )
    except (*FAILURES, *NO_JOURNAL) as error:
        reason = str(error).splitlines()[0]
        raise StorageError(
            f"journal: {without_password(where)} cannot be opened ({reason}); "
            "write a path you may write to, or move the broken file away"
        ) from None
    return opened, storage


@contextmanager
def writing() -> Iterator[None]:
    """Makes one error of all that a storage raises when it cannot be written.

    Raises:
        StorageError: the disk is full, the database locked, or the server away.
    """
    try:
        yield
    except FAILURES as error:
        reason = str(error).splitlines()[0]
        raise StorageError(
            f"journal: cannot be written ({reason}); mend that, and run the same command again"
        ) from None


def directions_of(study: Study) -> list[StudyDirection]:
    """In which direction each number is better that a complete trial is told with."""
    return [DIRECTIONS[goal.mode] for goal in study.told]


def _storage_at(where: str) -> BaseStorage:
    if where.startswith("journal-file:"):
        return JournalStorage(JournalFileBackend(where.removeprefix("journal-file:")))
    return RDBStorage(where)
