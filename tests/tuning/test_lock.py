"""One sweep at a time, whether a lock can promise it or the journal has to."""

import os
import signal
import socket
import threading
import time
from dataclasses import asdict, replace

import pytest

from mhray.errors import StudyConflictError
from mhray.tuning.journal import Journal
from mhray.tuning.lock import STALE, Holder, _say_so, held, locked

GONE = 2**22 + 1  # above what Linux numbers processes with


@pytest.fixture
def journal(a_study, tmp_path):
    return Journal.open(a_study(journal=f"journal-file:{tmp_path}/journal.log"), tmp_path)


def another(host="elsewhere", process=1, ago=0.0):
    return Holder("alice", host, process, "another", time.time() - ago)


def ago(seconds):
    return another(ago=seconds)


def fail(words):
    raise AssertionError(words)


def test_a_locked_directory_names_who_locked_it(tmp_path):
    with locked(tmp_path) as is_sure:
        assert is_sure
        with pytest.raises(StudyConflictError) as refused:
            locked(tmp_path).__enter__()
    owner = f"process {os.getpid()} on {socket.gethostname()}, started by "
    assert str(refused.value).startswith(f"{tmp_path}: another sweep runs this study ({owner}")
    assert str(refused.value).endswith("); wait for it, or write another name")


def test_the_lock_of_a_process_that_died_is_taken_over(tmp_path):
    (tmp_path / "lock").write_text("process 1 on elsewhere, started by alice")
    with locked(tmp_path):
        assert f"process {os.getpid()} on" in (tmp_path / "lock").read_text()


def test_a_journal_that_is_held_names_who_holds_it(journal):
    journal.hold(asdict(another(ago=20)))
    with pytest.raises(StudyConflictError) as refused:
        held(journal, "s", fail).__enter__()
    assert str(refused.value).startswith(
        "journal: s: another sweep runs this study (process 1 on elsewhere, started by alice); "
        "wait for it (if it has died, for 1"
    )


SILENT = [STALE + 1, -9 * STALE]  # seconds ago: as it is, and by a clock that was put back


@pytest.mark.parametrize(
    "gone", [*map(ago, SILENT), another(host=socket.gethostname(), process=GONE)]
)
def test_a_journal_whose_holder_is_gone_is_taken_over_and_let_go(journal, gone):
    said = []
    journal.hold(asdict(gone))
    with held(journal, "s", said.append, beat=0.01):
        assert journal.holder()["process"] == os.getpid()
    assert journal.holder() == {}
    words = "journal: s: process 1 on elsewhere, started by alice, seems to be gone; it is taken "
    assert said == [] if gone.process == GONE else [f"{words}over if it says nothing for 0.03 s"]


@pytest.mark.parametrize("seconds", SILENT)
def test_a_clock_that_was_changed_takes_no_journal_from_whoever_still_says_it_holds_it(
    journal, seconds
):
    journal.hold(asdict(ago(seconds)))
    with pytest.raises(StudyConflictError) as refused:
        held(journal, "s", lambda _: journal.hold(asdict(another())), beat=0.0).__enter__()
    assert str(refused.value) == (
        "journal: s: another sweep runs this study (process 1 on elsewhere, started by alice); "
        "wait for it, or write another name"
    )
    assert journal.holder()["key"] == "another"


def test_a_journal_that_is_let_go_while_this_start_listens_is_free(journal):
    journal.hold(asdict(ago(STALE + 1)))
    with held(journal, "s", lambda _: journal.hold({}), beat=0.0):
        assert journal.holder()["process"] == os.getpid()


def test_who_holds_a_journal_says_so_again_and_again(journal):
    with held(journal, "s", fail, beat=0.01):
        first = journal.holder()["time"]
        while journal.holder()["time"] == first:
            time.sleep(0.01)
    assert [one.name for one in threading.enumerate() if "_beat" in one.name] == []


def test_whoever_lost_the_journal_stops_and_leaves_it(journal):
    killed = []
    journal.hold(asdict(another()))
    _say_so(journal, replace(another(), key="mine"), lambda *call: killed.append(call))
    assert killed == [(os.getpid(), signal.SIGTERM)]
    assert journal.holder()["key"] == "another"
