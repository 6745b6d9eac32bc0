"""What is said of a journal that cannot be used, which is never written over."""

import gc
import os
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from optuna.exceptions import StorageInternalError
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from mhray.errors import FullDiskError, StorageError
from mhray.tuning.journal import Journal
from mhray.tuning.storage import open_storage, open_study, writing


@pytest.fixture
def journal_file(a_study, tmp_path):
    """Of a study of ten trials."""
    journal = Journal.open(a_study(), tmp_path)
    for number in range(10):
        journal.enqueue({"model.optimizer.lr": 0.001 + number})
    return tmp_path / "journal.db"


def rubbish_inside(content):
    middle = len(content) // 2 // 4096 * 4096
    return content[:middle] + os.urandom(4096 * 4) + content[middle + 4096 * 4 :]


DAMAGE = {
    "no database": lambda content: b"rubbish" * 1000,
    "cut off": lambda content: content[: len(content) // 2],
    "rubbish inside": rubbish_inside,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_journal_is_refused_and_left_as_it_is(a_study, journal_file, damage):
    damaged = damage(journal_file.read_bytes())
    journal_file.write_bytes(damaged)
    with pytest.raises(StorageError) as error:
        open_study(a_study(), journal_file.parent)
    assert str(error.value).startswith(f"journal: sqlite:///{journal_file} cannot be opened (")
    assert str(error.value).endswith("or move the broken file away")
    assert journal_file.read_bytes() == damaged


def test_sweeps_that_start_at_once_share_one_fresh_journal(tmp_path):
    together = Barrier(4)

    def open_together(number):
        together.wait()
        return open_storage(f"sqlite:///{tmp_path}/journal-{number}.db").get_all_studies()

    with ThreadPoolExecutor(4) as pool:
        for number in range(5):
            assert list(pool.map(open_together, [number] * 4)) == [[]] * 4


def test_a_storage_that_nobody_holds_lets_go_of_its_file(tmp_path):
    storage = open_storage(f"sqlite:///{tmp_path}/journal.db")
    pool = storage.engine.pool
    closed = []
    event.listen(pool, "close", lambda connection, _: closed.append(connection))
    held = pool.checkedin()
    del storage
    gc.collect()
    assert len(closed) == held > 0


def test_a_journal_that_cannot_be_written_is_refused_without_its_password(a_study, tmp_path):
    study = a_study(journal="sqlite://me:secret@host/journal.db")
    with pytest.raises(StorageError, match="cannot be opened") as error:
        open_study(study, tmp_path)
    assert "secret" not in str(error.value)


def failed_commit(words):
    error = StorageInternalError("An exception is raised during the commit.")
    error.__cause__ = OperationalError("INSERT", {}, sqlite3.OperationalError(words))
    return error


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        ("database or disk is full", FullDiskError, "the journal is on a full disk"),
        ("could not extend: No space left on device", FullDiskError, "the journal is on a full"),
        ("database is locked", StorageError, "journal: cannot be written .*database is locked"),
    ],
)
def test_a_failed_commit_says_what_the_database_said(words, kind, message):
    with pytest.raises(kind, match=message), writing():
        raise failed_commit(words)
