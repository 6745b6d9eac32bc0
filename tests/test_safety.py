"""Disks that are full, passwords in addresses, ports: real sweeps with real Ray and MLflow."""

import os
import re
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import mlflow
import optuna
import pytest
from mlflow.server import app, handlers
from werkzeug.serving import make_server

from mhray.sweep import main
from mhray.training.project import shipped_directory
from mhray.training.tracking import open_tracking
from mhray.tuning import running
from mhray.tuning.storage import open_storage

STUDY = shipped_directory() / "configs" / "sweep_weights.yaml"
MEBIBYTE = 2**20


@pytest.fixture
def one_trial(small_data):
    """Arguments of a sweep of one trial of two epochs."""
    return [
        str(STUDY),
        f"base.data.data_dir={small_data}",
        "base.data.batch_size=60",
        "base.trainer.max_epochs=2",
        "base.trainer.limit_train_batches=2",
        "scheduler=null",
        "budget.trials=1",
        "mlflow.register_best_as=null",
        "confirm=null",
    ]


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 16 MiB, of which a report takes five."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk: only root may mount one, and not everywhere")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    """Leave no room for another checkpoint."""
    free = os.statvfs(place).f_bavail * os.statvfs(place).f_frsize
    with (place / "filler").open("wb") as file:
        file.write(b"0" * (free - MEBIBYTE // 4))


def trials_in(storage):
    url = f"sqlite:///{storage}/loss_weights/journal.db"
    return optuna.load_study(study_name="loss_weights", storage=open_storage(url)).trials


def test_a_full_disk_stops_a_sweep_which_goes_on_once_there_is_room(
    one_trial, small_disk, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    arguments = [*one_trial, f"storage={small_disk}"]
    # Full from its first epoch on: the disk is looked at before, when there is room.
    with filled_when_ray_has_started(small_disk, monkeypatch):
        assert main(arguments) == 3
    out, error = capfd.readouterr()
    assert " is on a full disk; delete what you can spare there" in error
    assert "stopped; resume with: python -m mhray.sweep" in error
    assert "Traceback" not in out + error
    assert [trial.state.name for trial in trials_in(small_disk)] == ["RUNNING"]
    (small_disk / "filler").unlink()
    assert main(arguments) == 0
    assert [trial.state.name for trial in trials_in(small_disk)] == ["COMPLETE"]


@contextmanager
def filled_when_ray_has_started(place, monkeypatch):
    def run_trials(*arguments):
        fill(place)
        return original(*arguments)

    original = running.run_trials
    with monkeypatch.context() as patch:
        patch.setattr(running, "run_trials", run_trials)
        yield


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The address of MLflow's own server, in a thread of this process."""
    store = f"sqlite:///{tmp_path}/server.db"
    open_tracking(store, "loss_weights", tmp_path / "artifacts")
    store_of_server = mlflow.MlflowClient(store)._tracking_client.store
    monkeypatch.setattr(handlers, "_tracking_store", store_of_server)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.port}"
    server.shutdown()
    server.server_close()


def test_a_sweep_listens_on_the_loopback_and_keeps_no_password(
    one_trial, server, tmp_path, monkeypatch, capfd
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("A_TOKEN", "s3cret-of-the-environment")
    heard = []
    with looked_at_while_ray_runs(heard, monkeypatch):
        code = main(
            [
                *one_trial,
                f"mlflow.tracking_uri=http://user:s3cret-of-mlflow@{server}",
                f"journal=sqlite:///file:{tmp_path}/journal.db?password=s3cret-of-journal&uri=true",
            ]
        )
    shown = "".join(capfd.readouterr())
    assert code == 0, shown
    assert "s3cret" not in shown
    assert files_with(b"s3cret", tmp_path) == []
    assert files_with(b"user:***@", tmp_path) != []
    assert len(heard) > 3
    assert [address for address in heard if "127.0.0.1" not in address] == []


def files_with(part, directory):
    return [path for path in directory.rglob("*") if path.is_file() and part in path.read_bytes()]


@contextmanager
def looked_at_while_ray_runs(heard, monkeypatch):
    def run_trials(*arguments):
        heard.extend(listening())
        return original(*arguments)

    original = running.run_trials
    with monkeypatch.context() as patch:
        patch.setattr(running, "run_trials", run_trials)
        yield


def listening():
    """The addresses at which processes that this one has started listen."""
    if shutil.which("ss") is None:
        pytest.skip("no ss, which knows who listens where")
    started = "|".join(map(str, started_by(os.getpid())))
    told = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout
    lines = (line for line in told.splitlines() if re.search(rf"pid=({started}),", line))
    return [line.split()[3] for line in lines]


def started_by(pid):
    """A process and all that it has started, and those in turn."""
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from started_by(child)
