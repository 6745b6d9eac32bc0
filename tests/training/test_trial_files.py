from dataclasses import replace
from pathlib import Path

import pytest

from mhray.errors import StorageError
from mhray.training.remote import RemoteDirectory
from mhray.training.result import RunResult
from mhray.training.trial_files import FilesInStore, TrialFiles

RESULT = RunResult({"val/acc_mean": 0.5}, 1, 1, "/gone/best.ckpt", 1, (), 1, 8, (8,), 1.0, ())


@pytest.fixture(params=["disk", "store"])
def files(request, tmp_path):
    """The same promises, wherever the files are."""
    root = str(tmp_path / "driver")
    if request.param == "disk":
        return TrialFiles(root)
    return FilesInStore(root, f"file://{tmp_path}/store")


def train(files, number, epochs=1):
    with files.at_hand(number) as directory:
        for epoch in range(epochs):
            (directory / "last.ckpt").write_text(f"epoch {epoch}")
            (directory / "best.ckpt").write_text("epoch 0")
            RESULT.write(directory)
            files.keep(number, directory)


def test_a_trial_goes_on_from_what_an_earlier_process_kept(files):
    train(files, 3, epochs=2)
    with files.at_hand(3) as directory:
        assert (directory / "last.ckpt").read_text() == "epoch 1"
        assert (directory / "best.ckpt").read_text() == "epoch 0"


def test_the_driver_hears_of_a_trials_best_epoch(files):
    train(files, 3)
    files.hear(3, ["best.ckpt"])
    assert (files.directory(3) / "best.ckpt").read_text() == "epoch 0"


def test_the_driver_hears_why_a_trial_failed_until_it_starts_again(files):
    with files.at_hand(1) as directory:
        (directory / "failure.txt").write_text("ValueError")
    files.hear(1)
    assert (files.directory(1) / "failure.txt").read_text() == "ValueError"
    with files.at_hand(1) as directory:
        (directory / "failure.txt").unlink(missing_ok=True)
    files.hear(1)
    assert not (files.directory(1) / "failure.txt").exists()


def test_what_the_driver_says_of_a_trial_counts(files):
    files.directory(1).mkdir(parents=True)
    (files.directory(1) / "failure.txt").write_text("stalled")
    files.tell(1)
    files.hear(1)
    assert (files.directory(1) / "failure.txt").read_text() == "stalled"


def test_it_is_known_whether_any_trial_has_a_checkpoint(files):
    assert not files.holds_checkpoints()
    train(files, 0)
    assert files.holds_checkpoints()


def test_a_trial_takes_over_what_another_has_learnt(files):
    train(files, 0, epochs=2)
    train(files, 1)
    files.take_over(1, 0)
    with files.at_hand(1) as directory:
        assert (directory / "last.ckpt").read_text() == "epoch 1"


def test_what_the_first_of_several_workers_keeps_is_there_for_all_and_for_the_trial(files):
    train(files, 0)
    group = files.of_group(0)
    with group.at_hand() as first:
        (first / "last.ckpt").write_text("epoch 1")
        replace(RESULT, epochs=2).write(first)
        group.keep(first)
    with group.at_hand() as second:
        assert (second / "last.ckpt").read_text() == "epoch 1"
        assert (second / "best.ckpt").read_text() == "epoch 0"
    assert group.result().epochs == 2


def test_what_train_keeps_is_where_its_workers_are_and_goes_with_the_run(files):
    group = files.of_group(0)
    place = group.storage()
    Path(place["storage_path"], "ray").mkdir(parents=True)
    group.clear()
    assert list(Path(place["storage_path"]).iterdir()) == []
    group.clear()


def test_nothing_of_a_trial_in_a_store_is_left_where_it_ran(tmp_path):
    files = FilesInStore(str(tmp_path / "driver"), f"file://{tmp_path}/store")
    with files.at_hand(0) as directory:
        (directory / "last.ckpt").write_text("epoch 1")
        files.keep(0, directory)
    assert not directory.exists()
    assert not (tmp_path / "driver").exists()


def test_a_result_in_a_store_names_the_checkpoint_there(tmp_path):
    files = FilesInStore(str(tmp_path / "driver"), f"file://{tmp_path}/store")
    train(files, 0)
    kept = RunResult.read(tmp_path / "store" / "0")
    assert kept.checkpoint == f"file://{tmp_path}/store/0/best.ckpt"


def test_a_best_epoch_that_is_in_a_store_already_is_not_sent_again(tmp_path):
    files = FilesInStore(str(tmp_path / "driver"), f"file://{tmp_path}/store")
    with files.at_hand(0) as directory:
        (directory / "best.ckpt").write_text("epoch 0")
        files.keep(0, directory)
        files.drop_checkpoints(0)
        files.keep(0, directory)
        assert not (tmp_path / "store" / "0" / "best.ckpt").exists()
        (directory / "best.ckpt").write_text("epoch 1")
        files.keep(0, directory)
    assert (tmp_path / "store" / "0" / "best.ckpt").read_text() == "epoch 1"


def test_what_a_trial_goes_on_from_is_not_sent_again(tmp_path):
    files = FilesInStore(str(tmp_path / "driver"), f"file://{tmp_path}/store")
    train(files, 0)
    sent = (tmp_path / "store" / "0" / "last.ckpt").stat().st_ino
    with files.at_hand(0) as directory:
        files.keep(0, directory)
        assert (tmp_path / "store" / "0" / "last.ckpt").stat().st_ino == sent
        (directory / "last.ckpt").write_text("epoch 1")
        files.keep(0, directory)
    assert (tmp_path / "store" / "0" / "last.ckpt").read_text() == "epoch 1"


def test_checkpoints_in_a_store_are_dropped_there(tmp_path):
    files = FilesInStore(str(tmp_path / "driver"), f"file://{tmp_path}/store")
    train(files, 0)
    files.drop_checkpoints(0)
    assert RemoteDirectory(f"file://{tmp_path}/store/0").names() == ["result.json"]


def test_a_query_stays_behind_the_path():
    store = RemoteDirectory("s3://bucket/studies?region=eu-west-1")
    assert store.below("s").uri == "s3://bucket/studies/s?region=eu-west-1"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("nosuch://bucket", "Protocol not known: nosuch"),
        ("sftp://me:secret@host/x", "paramiko"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused(uri, reason):
    with pytest.raises(StorageError, match=f"storage: .* cannot be used .*{reason}") as refused:
        RemoteDirectory(uri).open()
    assert "secret" not in str(refused.value)
