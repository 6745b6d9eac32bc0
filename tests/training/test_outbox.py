"""Updates survive crashes, full disks and destinations that are away."""

import resource
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mhray.errors import StorageError, full_disk
from mhray.training.outbox import Courier, Outbox, RunUpdate

UPDATE = RunUpdate("study/1", 1000, "trial 1", "study", metrics={"val/left_acc": 0.5}, step=1)


class Destination:
    """Keeps what arrives; away while told so."""

    def __init__(self):
        self.arrived = []
        self.is_away = False

    def deliver(self, updates):
        if self.is_away:
            raise StorageError("away")
        self.arrived.extend(updates)


@contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "study" / "mlflow.jsonl"


@pytest.fixture
def outbox(path):
    opened = Outbox(path, "here")
    yield opened
    opened.close()


@pytest.fixture
def reopen(path):
    opened = []

    def reopen_at(destination):
        opened.append(Outbox(path, destination))
        return opened[-1]

    yield reopen_at
    for outbox in opened:
        outbox.close()


@pytest.fixture
def destination():
    return Destination()


@pytest.fixture
def courier(outbox, destination):
    started = Courier(outbox, destination.deliver)
    started.start()
    yield started
    started.close(5)


def test_what_is_added_is_delivered_once_and_in_order(outbox, destination):
    updates = [replace(UPDATE, step=step) for step in range(3)]
    for update in updates:
        outbox.add(update)
    outbox.deliver(destination.deliver)
    outbox.deliver(destination.deliver)
    assert destination.arrived == updates
    assert outbox.pending() == 0


def test_large_backlogs_are_delivered_in_portions(outbox):
    portions = []
    for step in range(20):
        outbox.add(replace(UPDATE, step=step, tags={"note": "x" * 100_000}))
    outbox.deliver(portions.append)
    assert [update.step for portion in portions for update in portion] == list(range(20))
    assert len(portions) > 3


def test_what_was_not_delivered_is_delivered_by_the_next_process(outbox, reopen, destination):
    outbox.add(UPDATE)
    assert outbox.pending() == 1
    reopen("here").deliver(destination.deliver)
    assert destination.arrived == [UPDATE]


def test_what_was_delivered_is_not_delivered_by_the_next_process(outbox, reopen, destination):
    outbox.add(UPDATE)
    outbox.deliver(destination.deliver)
    reopen("here").deliver(destination.deliver)
    assert destination.arrived == [UPDATE]


def test_another_destination_gets_everything(outbox, reopen, destination):
    outbox.add(UPDATE)
    outbox.deliver(destination.deliver)
    reopen("there").deliver(destination.deliver)
    assert destination.arrived == [UPDATE, UPDATE]


@pytest.mark.parametrize(
    "position", ["", "{", "[]", "{}", '{"destination": "here", "bytes": 99999}']
)
def test_a_position_that_makes_no_sense_means_everything(
    outbox, path, reopen, destination, position
):
    outbox.add(UPDATE)
    path.with_name("mlflow.jsonl.position").write_text(position)
    reopen("here").deliver(destination.deliver)
    assert destination.arrived == [UPDATE]


def test_a_last_line_cut_off_by_a_crash_is_removed(outbox, path, reopen):
    outbox.add(UPDATE)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"key": "study/1", "ti')
    again = reopen("here")
    assert path.read_bytes() == whole
    again.add(replace(UPDATE, step=2))
    assert [update.step for update in again.history()] == [1, 2]


def test_a_line_that_is_no_update_is_named(outbox, path, reopen):
    outbox.add(UPDATE)
    path.write_bytes(path.read_bytes() + b'{"key": 1}\n')
    with pytest.raises(StorageError) as error:
        reopen("here").history()
    assert str(error.value) == (
        f"{path}:2: this line is no update for MLflow; delete the line, or move the file away"
    )


def test_a_full_disk_is_an_error_and_leaves_no_half_line(outbox, path):
    outbox.add(UPDATE)
    whole = path.read_bytes()
    with largest_file(len(whole) + 10), pytest.raises(StorageError) as error:
        outbox.add(UPDATE)
    assert path.read_bytes() == whole
    assert str(error.value) == str(full_disk(path.parent))


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"mlflow\.jsonl cannot be written \(Not a directory\)"):
        Outbox(tmp_path / "file" / "study" / "mlflow.jsonl", "here")


def test_a_position_that_cannot_be_saved_is_an_error(outbox, path, destination):
    path.with_name(".mlflow.jsonl.position").mkdir()
    outbox.add(UPDATE)
    with pytest.raises(StorageError, match=r"position cannot be written \(Is a directory\)"):
        outbox.deliver(destination.deliver)


def test_the_courier_delivers_while_others_add(outbox, courier, destination):
    for step in range(100):
        outbox.add(replace(UPDATE, step=step))
    courier.close(5)
    assert [update.step for update in destination.arrived] == list(range(100))


def test_the_courier_outlives_an_outage_and_remembers_why(outbox, courier, destination):
    destination.is_away = True
    outbox.add(UPDATE)
    courier.join(0.6)
    assert courier.last_error == "away"
    destination.is_away = False
    courier.close(5)
    assert courier.last_error == ""
    assert destination.arrived == [UPDATE]


def test_the_courier_gives_up_at_the_deadline(outbox, courier, destination):
    destination.is_away = True
    outbox.add(UPDATE)
    courier.close(0.5)
    courier.join(2)
    assert not courier.is_alive()
    assert outbox.pending() == 1
