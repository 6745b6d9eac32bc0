"""A checkpoint to go on from: what is refused before training, and what a run takes over."""

import csv
import io
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from mhray.errors import ConfigError
from mhray.training.resume import mend, read_checkpoint
from mhray.training.run import check_run, compose_run, train

QUICK = ["trainer.accelerator=cpu", "trainer.limit_train_batches=1", "data.batch_size=60"]
HEADS = "left (10 classes), right (10 classes), sum (19 classes)"


@pytest.fixture(scope="module")
def trained(small_data, tmp_path_factory):
    """What a run of two epochs has saved, and the overrides that go on from it."""
    directory = tmp_path_factory.mktemp("trained")
    overrides = [*QUICK, f"data.data_dir={small_data}", "scheduler=step"]
    two_epochs = compose_run([*overrides, "trainer.max_epochs=2"])
    train(two_epochs, directory, report=lambda _: None)
    return directory / "last.ckpt", [*overrides, f"ckpt_path={directory / 'last.ckpt'}"]


MISTAKES = {
    "trainer.max_epochs=2": "trainer.max_epochs: should be above 2, the epochs that ckpt_path has "
    "been trained for, found 2; write 3 or more",
    "model.net.conv1_channels=8": "ckpt_path: it is of another network: net.backbone.1.weight is "
    "16x3x3x3, and in this run 8x3x3x3; write the model that it was trained with, as in the "
    "config.yaml beside it",
    "model=cifar100mh_vit": "ckpt_path: it is of another network: net.backbone.0.weight is not "
    "there, and in this run 32x3x8x8; write the model that it was trained with, as in the "
    "config.yaml beside it",
    "model.optimizer={_target_: torch.optim.SGD, _partial_: true, lr: 0.1}": "ckpt_path: it is of "
    "another optimiser, which has no dampening, momentum, nesterov; write the model.optimizer "
    "that it was trained with, as in the config.yaml beside it",
    "model.scheduler.step_size=3": "ckpt_path: its model.scheduler.step_size is 5, and this run's "
    "3; write model.scheduler.step_size=5 to go on as planned, or leave ckpt_path out to train "
    "anew",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_checkpoint_of_another_run_is_refused(trained, mistake):
    _, overrides = trained
    with pytest.raises(ConfigError) as error:
        check_run(compose_run([*overrides, mistake]))
    assert str(error.value) == MISTAKES[mistake]


def test_a_checkpoint_of_other_heads_is_refused(trained, foreign):
    _, overrides = trained
    with pytest.raises(ConfigError) as error:
        check_run(compose_run([*overrides, f"data.data_dir={foreign.directory}"]))
    assert str(error.value) == (
        f"ckpt_path: it is of other heads, {HEADS}, and the data have note_number (128 classes), "
        "note_velocity (128 classes); write the data.data_dir that it was trained on"
    )


def test_a_checkpoint_that_fits_is_let_through(trained):
    _, overrides = trained
    check_run(compose_run([*overrides, "trainer.max_epochs=3"]))


def test_weights_alone_are_no_checkpoint_of_a_run(tmp_path):
    torch.save({"state_dict": {}, "epoch": 0}, tmp_path / "weights.ckpt")
    with pytest.raises(ConfigError) as error:
        read_checkpoint(tmp_path / "weights.ckpt")
    assert str(error.value) == (
        f"ckpt_path: {tmp_path}/weights.ckpt is no checkpoint of a run, since it lacks mhray, "
        "optimizer_states; write the path of a last.ckpt or best.ckpt"
    )


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x05\x06" + bytes(18)])
def test_another_file_is_no_checkpoint(tmp_path, content):
    (tmp_path / "some.ckpt").write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"some.ckpt is no checkpoint.*; write the path of a last"
    ):
        read_checkpoint(tmp_path / "some.ckpt")


def test_a_checkpoint_that_does_not_exist_is_named():
    with pytest.raises(ConfigError) as error:
        read_checkpoint(Path("nowhere.ckpt"))
    assert str(error.value) == (
        "ckpt_path: there is no file nowhere.ckpt; write the path of a .ckpt file"
    )


def steps_of(directory):
    with Path(directory, "csv", "metrics.csv").open(encoding="utf-8") as file:
        return [int(row["step"]) for row in csv.DictReader(file) if row["val/loss"]]


@pytest.mark.filterwarnings("ignore:Experiment logs directory")  # that Lightning empties it
def test_a_resumed_run_keeps_the_rows_of_the_epochs_before(typed, small_data):
    overrides = [*QUICK, f"data.data_dir={small_data}", "logger=csv"]
    typed(*overrides, "trainer.max_epochs=2", "test=true", "hydra.run.dir=first")
    more = ["trainer.max_epochs=3", "ckpt_path=first/last.ckpt"]
    for directory in ("second", "first"):
        code, _, error = typed(*overrides, *more, f"hydra.run.dir={directory}")
        assert (code, error, steps_of(directory)) == (0, "", [1, 2, 3])


def test_a_table_that_is_none_is_named(typed, trained):
    checkpoint, overrides = trained
    table = checkpoint.parent / "csv" / "metrics.csv"
    table.parent.mkdir()
    table.write_text("step,val/loss\none,0.5\n")
    code, _, error = typed(*overrides, "trainer.max_epochs=3", "logger=csv")
    problem = "cannot be read as a table of epochs; move it away, or write logger=none"
    assert (code, error) == (2, f"error: {table}: {problem}\n")


@pytest.fixture
def directory(trained, tmp_path):
    """A trial's, with both checkpoints whole."""
    for name in ("last.ckpt", "best.ckpt"):
        shutil.copy(trained[0], tmp_path / name)
    return tmp_path


def one_bit_flipped(content):
    """In the middle, where the weights are; PyTorch loads such a file."""
    changed = bytearray(content)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)


class Malicious:
    def __reduce__(self):
        return Path.mkdir, (Path("called"),)


def malicious(content):
    saved = torch.load(io.BytesIO(content), weights_only=True)
    file = io.BytesIO()
    torch.save(saved | {"extra": Malicious()}, file)
    return file.getvalue()


DAMAGE = {
    "empty": lambda content: b"",
    "cut off": lambda content: content[:-1000],
    "one bit": one_bit_flipped,
    "rubbish": lambda content: b"rubbish" * 1000,
    "of another program": lambda content: pickle.dumps({"state_dict": {}}),
    "malicious": malicious,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_trial_with_a_damaged_checkpoint_goes_on_from_its_best_one(
    directory, damage, monkeypatch
):
    monkeypatch.chdir(directory)
    last, best = directory / "last.ckpt", directory / "best.ckpt"
    last.write_bytes(damage(last.read_bytes()))
    said = mend(directory)
    assert said.startswith(f"{last} is no checkpoint")
    assert said.endswith("; the trial goes on from best.ckpt")
    assert last.read_bytes() == best.read_bytes()
    assert (directory / "last.ckpt.damaged").exists()
    assert not Path("called").exists()
    assert mend(directory) is None


def test_a_trial_without_a_whole_checkpoint_begins_again(directory):
    for name in ("last.ckpt", "best.ckpt"):
        (directory / name).write_bytes(b"rubbish")
    last = directory / "last.ckpt"
    assert mend(directory) == f"{last} is no checkpoint; the trial begins again"
    assert {path.name for path in directory.iterdir()} == {
        "last.ckpt.damaged",
        "best.ckpt.damaged",
    }


def test_whole_checkpoints_are_left_as_they_are(directory):
    assert mend(directory) is None
    assert {path.name for path in directory.iterdir()} == {"last.ckpt", "best.ckpt"}


def test_a_malicious_checkpoint_is_refused_by_a_run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "last.ckpt"
    path.write_bytes(malicious(trained[0].read_bytes()))
    with pytest.raises(ConfigError, match=r"ckpt_path: .* is no checkpoint \(Weights only load"):
        check_run(compose_run([*trained[1], f"ckpt_path={path}", "trainer.max_epochs=3"]))
    assert not Path("called").exists()
