import csv
from importlib.util import find_spec

import mlflow
import pytest
import yaml

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


@pytest.mark.skipif(find_spec("wandb") is not None, reason="wandb is installed")
def test_a_logger_whose_package_is_missing_says_what_to_install(write):
    with pytest.raises(ConfigError) as error:
        write("logger=[csv,wandb]")
    assert str(error.value) == (
        "logger.wandb: Requirement 'wandb>=0.12.10' not met. HINT: Try running "
        "`pip install -U 'wandb>=0.12.10'`; install the package that is missing"
    )


def test_a_store_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path}/file/mlflow.db"
    config = compose_run(["logger=mlflow", f"logger.mlflow.tracking_uri={uri}"])
    with (
        pytest.raises(StorageError, match=f"^logger.mlflow.tracking_uri: {uri} cannot be opened"),
        open_loggers(config, tmp_path),
    ):
        pass
