import csv
from importlib.util import find_spec
from threading import Thread

import mlflow
import pytest
import yaml
from lightning.pytorch import loggers as of_lightning
from mlflow.server import app, handlers
from werkzeug.serving import make_server

from mhray.errors import ConfigError, StorageError
from mhray.training.loggers import open_loggers
from mhray.training.run import compose_run

METRICS = {"val/acc_mean": 0.5, "train/images_per_second": 100.0}
RUN = ["model.loss_weights.left=2.0", "tags=[first,wide]"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Has loggers write two epochs and then the test split; gives the run's directory."""
    monkeypatch.chdir(tmp_path)

    def run(*overrides):
        directory = tmp_path / "run"
        with open_loggers(compose_run([*RUN, *overrides]), directory) as all_:
            for epoch in (1, 2):
                all_.log(METRICS, epoch)
            all_.log({"test/acc_mean": 0.25}, 2)
        return directory

    return run


def test_no_logger_writes_nothing(write):
    assert not write("logger=none").exists()


def test_csv_has_a_row_per_epoch_and_the_config_as_paths(write):
    directory = write("logger=csv") / "csv"
    first, second, tested = csv.DictReader((directory / "metrics.csv").read_text().splitlines())
    assert (first["step"], first["val/acc_mean"], first["test/acc_mean"]) == ("1", "0.5", "")
    assert (second["step"], second["train/images_per_second"]) == ("2", "100.0")
    assert (tested["step"], tested["test/acc_mean"]) == ("2", "0.25")
    params = yaml.safe_load((directory / "hparams.yaml").read_text())
    assert (params["model.loss_weights.left"], params["tags"]) == (2.0, ["first", "wide"])


def test_an_epoch_can_be_read_before_the_next_one(tmp_path):
    with open_loggers(compose_run(["logger=csv"]), tmp_path) as loggers:
        loggers.log(METRICS, 1)
        assert "0.5" in (tmp_path / "csv" / "metrics.csv").read_text()


def test_several_loggers_write_side_by_side(write):
    directory = write("logger=[csv,tensorboard]")
    (events,) = directory.glob("tensorboard/events.*")
    assert {path.name for path in directory.iterdir()} == {"csv", "tensorboard"}
    assert all(name.encode() in events.read_bytes() for name in (*METRICS, "test/acc_mean"))


@pytest.fixture
def in_mlflow(store, request):
    """Overrides of a run in an experiment of the test's own, and what gives that one's runs."""
    client, name = mlflow.MlflowClient(store), request.node.name
    places = {"tracking_uri": store, "experiment_name": name}
    overrides = [f"logger.mlflow.{key}={value}" for key, value in places.items()]

    def runs():
        return client.search_runs([client.get_experiment_by_name(name).experiment_id])

    return ["logger=mlflow", *overrides], runs


def test_mlflow_has_a_run_with_metrics_params_and_tags(write, in_mlflow):
    overrides, runs = in_mlflow
    directory = write(*overrides)
    (run,) = runs()
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    assert run.data.metrics == METRICS | {"test/acc_mean": 0.25}
    assert run.data.params["model.loss_weights.left"] == "2.0"
    assert run.data.tags.items() >= {
        ("mhray.tags", "first, wide"),
        ("mhray.directory", str(directory)),
    }


def test_a_run_that_fails_is_closed_as_failed(tmp_path, in_mlflow):
    overrides, runs = in_mlflow
    with pytest.raises(KeyError), open_loggers(compose_run(overrides), tmp_path):
        raise KeyError
    assert [run.info.status for run in runs()] == ["FAILED"]


@pytest.fixture
def server(store, monkeypatch):
    """MLflow's own server, in a thread of this process."""
    monkeypatch.setattr(
        handlers, "_tracking_store", mlflow.MlflowClient(store)._tracking_client.store
    )
    server = make_server("127.0.0.1", 0, app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield server
    stop(server)


def stop(server):
    server.shutdown()
    server.server_close()


@pytest.fixture
def served(server):
    """Overrides of a run that writes to the server first, and then into a file."""
    uri = f"http://127.0.0.1:{server.port}"
    return ["logger=[mlflow,csv]", f"logger.mlflow.tracking_uri={uri}"]


def lose(server, overrides, directory, then):
    """A run of one epoch whose server goes away; ``then`` is what comes after."""
    with open_loggers(compose_run(overrides), directory) as loggers:
        loggers.log(METRICS, 1)
        stop(server)
        then(loggers)


def assert_tells_what_is_gone_and_what_is_left(error, server, directory):
    uri, message = f"http://127.0.0.1:{server.port}", str(error.value)
    assert message.startswith(f"logger.mlflow: cannot be written ({uri} is gone: API request to")
    assert message.endswith(
        f"; what was trained is in {directory}; to train on, write the same overrides and "
        f"ckpt_path={directory}/last.ckpt"
    )


def test_a_server_that_goes_away_ends_the_run_with_what_to_do(server, served, tmp_path):
    with pytest.raises(StorageError) as error:
        lose(server, served, tmp_path, lambda loggers: loggers.log(METRICS, 2))
    assert_tells_what_is_gone_and_what_is_left(error, server, tmp_path)
    rows = csv.DictReader((tmp_path / "csv" / "metrics.csv").read_text().splitlines())
    assert [row["step"] for row in rows] == ["1", "2"]


def test_a_run_whose_end_its_server_misses_says_where_it_is(server, served, tmp_path):
    with pytest.raises(StorageError) as error:
        lose(server, served, tmp_path, lambda _: None)
    assert_tells_what_is_gone_and_what_is_left(error, server, tmp_path)


def test_what_ended_a_run_is_told_although_a_logger_is_gone(server, served, tmp_path):
    with pytest.raises(ZeroDivisionError):
        lose(server, served, tmp_path, lambda _: 1 / 0)


class OnFullDisk(of_lightning.CSVLogger):
    def finalize(self, status):
        raise OSError(28, "No space left on device")


def test_every_logger_is_closed_although_one_cannot_be(tmp_path, in_mlflow):
    overrides, runs = in_mlflow
    config = compose_run([*overrides, "logger=[csv,mlflow]"])
    config.logger.csv["_target_"] = f"{__name__}.OnFullDisk"
    with (
        pytest.raises(StorageError, match=r"^logger\.csv: cannot be written \(.*No space left"),
        open_loggers(config, tmp_path),
    ):
        pass
    assert [run.info.status for run in runs()] == ["FINISHED"]


@pytest.mark.parametrize("name", ["", "' '", "5", "null"])
def test_an_experiment_without_a_name_is_refused_as_such(write, name):
    with pytest.raises(ConfigError) as error:
        write("logger=mlflow", f"logger.mlflow.experiment_name={name}")
    found = {"": "''", "null": None}.get(name, name)
    assert str(error.value) == (
        f"logger.mlflow.experiment_name: should be a name, found {found}; write one, such as runs"
    )


def test_a_deleted_experiment_is_told_by_the_key_that_names_it(write, in_mlflow, store, request):
    overrides, _ = in_mlflow
    client = mlflow.MlflowClient(store)
    client.delete_experiment(client.create_experiment(request.node.name))
    with pytest.raises(StorageError, match=r"^logger\.mlflow\.experiment_name: .* was deleted"):
        write(*overrides)


def test_wandb_that_is_missing_says_what_to_install(write, monkeypatch):
    monkeypatch.setattr(of_lightning.wandb, "_WANDB_AVAILABLE", False)
    with pytest.raises(ConfigError) as error:
        write("logger=[csv,wandb]")
    assert str(error.value) == (
        'logger.wandb: wandb is not installed; run pip install "mhray[wandb]"'
    )


@pytest.mark.skipif(find_spec("wandb") is None, reason="wandb is not installed")
def test_two_runs_of_one_process_are_two_in_wandb(tmp_path):
    for name in ("first", "second"):
        with open_loggers(compose_run([*RUN, "logger=wandb"]), tmp_path / name) as loggers:
            loggers.log(METRICS, 1)
    runs = [path.relative_to(tmp_path) for path in tmp_path.rglob("offline-run-*/run-*.wandb")]
    assert sorted(path.parts[0] for path in runs) == ["first", "second"]


def test_a_store_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path}/file/mlflow.db"
    config = compose_run(["logger=mlflow", f"logger.mlflow.tracking_uri={uri}"])
    with (
        pytest.raises(StorageError, match=f"^logger.mlflow.tracking_uri: {uri} cannot be opened"),
        open_loggers(config, tmp_path),
    ):
        pass
