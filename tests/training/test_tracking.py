"""A store is opened once, by the driver, and everything that can be wrong with it has a message."""

import json
import logging
import socket
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from mlflow import MlflowClient
from sqlalchemy.exc import OperationalError

from mhray.errors import StorageError
from mhray.training.experiment import absolute_uri, reason_of
from mhray.training.outbox import RunUpdate
from mhray.training.tracking import open_tracking

REMEDY = "write sqlite:///mlflow.db, or the address of a running MLflow server"


def test_a_reason_is_what_the_database_said():
    error = OperationalError("SELECT 1", {}, Exception("attempt to write a readonly database"))
    error.add_detail("raised as a result of Query-invoked autoflush; consider using another")
    assert reason_of(error) == "(builtins.Exception) attempt to write a readonly database"


def update(**changes):
    return RunUpdate(**{"key": "study/1", "time": 1000, "name": "trial 1"} | changes)


def only_run(tracking):
    (run,) = tracking.client.search_runs([tracking.experiment_id])
    return run


def message_of(uri, tmp_path):
    with pytest.raises(StorageError) as error:
        open_tracking(uri, "x", tmp_path)
    return str(error.value)


def test_database_experiment_and_their_directory_are_made_in_silence(tmp_path, capfd):
    uri = f"sqlite:///{tmp_path}/new/mlflow.db"
    opened = open_tracking(uri, "loss_weights", tmp_path / "artifacts")
    experiment = opened.client.get_experiment_by_name("loss_weights")
    assert experiment.artifact_location == str(tmp_path / "artifacts")
    assert capfd.readouterr() == ("", "")


def test_a_relative_database_is_one_file_wherever_the_process_goes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert absolute_uri("sqlite:///mlflow.db") == f"sqlite:///{tmp_path}/mlflow.db"


def test_an_experiment_is_made_once(store, tmp_path):
    first = open_tracking(store, "twice", tmp_path)
    assert open_tracking(store, "twice", tmp_path).experiment_id == first.experiment_id


def test_sweeps_that_start_at_once_share_one_fresh_store(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: open_tracking(uri, "x", tmp_path), range(4)))
    assert len({tracking.experiment_id for tracking in opened}) == 1


def test_sweeps_that_start_at_once_share_one_new_experiment(store, tmp_path):
    together = Barrier(4)

    def open_together(name):
        together.wait()
        return open_tracking(store, name, tmp_path).experiment_id

    with ThreadPoolExecutor(4) as pool:
        for name in ("a", "b", "c", "d", "e"):
            assert len(set(pool.map(open_together, [name] * 4))) == 1


def test_a_store_made_anew_is_another_destination(tmp_path):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    first = open_tracking(uri, "x", tmp_path)
    first.client.create_experiment("y")
    second = open_tracking(uri, "y", tmp_path)
    assert first.destination != second.destination
    assert open_tracking(uri, "x", tmp_path).destination == first.destination


def test_mlflow_has_no_handler_of_its_own(tracking):
    assert logging.getLogger("mlflow").handlers == []
    assert logging.getLogger("alembic").handlers == []


def test_an_unwritable_directory_is_refused(tmp_path):
    (tmp_path / "file").touch()
    uri = f"sqlite:///{tmp_path}/file/new/mlflow.db"
    reason = f"[Errno 20] Not a directory: '{tmp_path}/file/new'"
    expected = f"mlflow.tracking_uri: {uri} cannot be opened ({reason}); {REMEDY}"
    assert message_of(uri, tmp_path) == expected


def test_a_directory_in_place_of_the_database_is_refused_at_once(tmp_path):
    uri = f"sqlite:///{tmp_path}"
    reason = "(sqlite3.OperationalError) unable to open database file"
    expected = f"mlflow.tracking_uri: {uri} cannot be opened ({reason}); {REMEDY}"
    assert message_of(uri, tmp_path) == expected


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but something I need" * 100)
    reason = "(sqlite3.DatabaseError) file is not a database"
    expected = f"mlflow.tracking_uri: sqlite:///{file} cannot be opened ({reason}); {REMEDY}"
    assert message_of(f"sqlite:///{file}", tmp_path) == expected
    assert file.read_text() == "not a database, but something I need" * 100


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/mlruns"])
def test_a_plain_directory_is_refused(uri, tmp_path):
    reason = "MLflow no longer writes plain directories"
    expected = f"mlflow.tracking_uri: {uri} cannot be opened ({reason}); {REMEDY}"
    assert message_of(uri, tmp_path) == expected


def test_a_port_nobody_listens_on_is_refused_at_once(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{unused.getsockname()[1]}"
        message = message_of(uri, tmp_path)
    assert message.startswith(f"mlflow.tracking_uri: {uri} cannot be opened (API request to {uri}")
    assert message.endswith(REMEDY)


def test_passwords_are_not_shown(tmp_path):
    message = message_of("nonsense://me:secret@127.0.0.1/mlflow", tmp_path)
    assert message.startswith("mlflow.tracking_uri: nonsense://me:***@127.0.0.1/mlflow cannot")


def test_a_deleted_experiment_is_refused(tracking, store, request, tmp_path):
    name = request.node.name
    tracking.client.delete_experiment(tracking.experiment_id)
    with pytest.raises(StorageError) as error:
        open_tracking(store, name, tmp_path)
    assert str(error.value) == (
        f"mlflow.experiment: {name} was deleted from {store}; write another name, or run "
        f"`mlflow experiments restore --experiment-id {tracking.experiment_id}`"
    )


def test_updates_of_one_key_go_to_one_run(tracking, store, request, tmp_path):
    tracking.deliver([update(status="RUNNING", params={"a": "1"})])
    again = open_tracking(store, request.node.name, tmp_path)
    again.deliver([update(time=5000, status="FINISHED", metrics={"b": 2.0}, step=3)])
    run = only_run(tracking)
    assert (run.info.run_name, run.info.status) == ("trial 1", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (1000, 5000)
    assert (run.data.params, run.data.metrics) == ({"a": "1"}, {"b": 2.0})


def test_a_child_finds_its_parent_in_a_new_process(tracking, store, request, tmp_path):
    tracking.deliver([update(key="study", name="study")])
    again = open_tracking(store, request.node.name, tmp_path)
    again.deliver([update(parent="study")])
    child = again.client.get_run(again.run_id("study/1"))
    assert child.data.tags["mlflow.parentRunId"] == tracking.run_id("study")


def test_more_than_a_hundred_params_are_all_written(tracking):
    params = {f"model.depth_{i}": str(i) for i in range(230)}
    tracking.deliver([update(params=params)])
    assert only_run(tracking).data.params == params


def test_more_than_a_thousand_metrics_are_all_written(tracking):
    tracking.deliver(
        [update(metrics={f"m{i}": float(i) for i in range(50)}, step=s) for s in range(30)]
    )
    histories = [
        tracking.client.get_metric_history(tracking.run_id("study/1"), f"m{i}") for i in range(50)
    ]
    assert sum(map(len, histories)) == 1500


def test_what_mlflow_refuses_does_not_hold_up_the_rest(tracking, caplog):
    tracking.deliver([update(params={"a": "1"}), update(key="study/2")])
    tracking.deliver([update(params={"a": "2"}), update(key="study/2", metrics={"b": 1.0})])
    assert "MLflow refuses what belongs to study/1" in caplog.text
    assert tracking.client.get_run(tracking.run_id("study/2")).data.metrics == {"b": 1.0}


def test_a_run_deleted_in_the_ui_does_not_hold_up_the_rest(tracking):
    tracking.deliver([update(), update(key="study/2")])
    tracking.client.delete_run(tracking.run_id("study/1"))
    tracking.deliver([update(metrics={"b": 1.0}), update(key="study/2", metrics={"b": 1.0})])
    assert tracking.client.get_run(tracking.run_id("study/2")).data.metrics == {"b": 1.0}


def test_a_study_leaves_its_artifacts_under_the_given_place(tracking, tmp_path):
    tracking.deliver([update(key="study")])
    run_id = tracking.run_id("study")
    checkpoint = tmp_path / "best.ckpt"
    checkpoint.write_bytes(b"weights")
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "index.html").write_text("<p>")
    trials = [{"trial": 0, "acc": 0.5}, {"trial": 1, "acc": 0.6, "lr": 0.1}]
    front = {"columns": ["trial", "acc"], "data": [[1, 0.6]]}
    for _ in range(2):
        tracking.log_study(
            run_id,
            study_file="name: x\n",
            best_config="seed: 1\n",
            checkpoint=checkpoint,
            trials=trials,
            front=front,
            report=tmp_path / "report",
            dataset=("pairs", "f00d" * 16),
        )
    place = tmp_path / "artifacts" / run_id / "artifacts"
    assert (place / "trials.csv").read_text() == "trial,acc,lr\n0,0.5,\n1,0.6,0.1\n"
    assert (place / "study.yaml").read_text() == "name: x\n"
    assert (place / "best/config.yaml").read_text() == "seed: 1\n"
    assert (place / "best/best.ckpt").read_bytes() == b"weights"
    assert (place / "report/index.html").read_text() == "<p>"
    assert json.loads((place / "front.json").read_text()) == front
    run = tracking.client.get_run(run_id)
    table = [{"path": "front.json", "type": "table"}]
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == table
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["pairs"]


def test_artifacts_that_cannot_be_written_are_an_error(tracking, tmp_path):
    tracking.deliver([update(key="study")])
    (tmp_path / "artifacts").touch()
    missing = tmp_path / "best.ckpt"
    with pytest.raises(StorageError, match=r"storage: the study's artifacts .*Not a directory"):
        tracking.log_study(
            tracking.run_id("study"),
            study_file="",
            best_config="",
            checkpoint=missing,
            trials=[],
            front={},
            report=tmp_path,
            dataset=("pairs", "f00d"),
        )


def test_only_the_client_of_this_store_is_used(store, monkeypatch, tmp_path):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere.db")
    open_tracking(store, "not elsewhere", tmp_path)
    assert MlflowClient(store).get_experiment_by_name("not elsewhere")
    assert not (tmp_path / "elsewhere.db").exists()
