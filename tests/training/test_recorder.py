"""One run for the study, one child for each trial, and nothing twice, whatever happens."""

import math
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.errors import NoAnswerError, StorageError
from mhray.training import outbox
from mhray.training.epoch_row import EpochRow
from mhray.training.fitting import cut, fitting_name
from mhray.training.outbox import Outbox
from mhray.training.recorder import StudyRecorder
from mhray.training.tracking import expect_tracking, open_tracking


@pytest.fixture
def start(tracking, tmp_path):
    """Starts a recorder of the same study, as a new sweep process would."""
    started = []

    def start_recorder(*, key="journal 1", uri=tracking.uri, name="mlflow.jsonl"):
        experiment = tracking.client.get_experiment(tracking.experiment_id).name
        fresh = open_tracking(uri, experiment, tmp_path)
        started.append(StudyRecorder(fresh, "loss weights", key, tmp_path / name))
        return started[-1]

    yield start_recorder
    for recorder in started:
        recorder.close(5)


def row(epoch, acc=0.5):
    metrics = {"val/left_acc": acc, "train/loss": 1.5}
    return EpochRow(epoch, metrics, acc, seconds=2.0, time=1000.0 + epoch)


def run_trial(recorder, number, end="COMPLETE", epochs=(1, 2)):
    recorder.trial_started(number, [f"model.loss_weights.left={number}.0"], 12345, {})
    for epoch in epochs:
        recorder.epoch_ended(number, row(epoch))
    recorder.trial_ended(number, end, {"val/left_acc": 0.5}, 4.0, "out of memory" * (end == "FAIL"))


def runs(tracking):
    """Every run of the experiment, by name, without what the clock decides."""
    found = tracking.client.search_runs([tracking.experiment_id])
    return {run.info.run_name: run for run in found}


def everything(tracking):
    """All that MLflow holds, in an order of its own."""
    story = []
    for name, run in runs(tracking).items():
        story.append((name, run.info.run_id, run.info.status, run.info.end_time))
        story.append((sorted(run.data.params.items()), sorted(run.data.tags.items())))
        for metric in run.data.metrics:
            points = tracking.client.get_metric_history(run.info.run_id, metric)
            story.append((metric, sorted((p.step, p.timestamp, repr(p.value)) for p in points)))
    return sorted(map(repr, story))


def assert_one_run_each(tracking, trials):
    found = tracking.client.search_runs([tracking.experiment_id])
    names = sorted(run.info.run_name for run in found)
    assert names == sorted(["loss weights", *(f"trial {number}" for number in range(trials))])


def points_of(tracking, trial, metric):
    run_id = runs(tracking)[trial].info.run_id
    return [(p.step, p.value) for p in tracking.client.get_metric_history(run_id, metric)]


def test_a_study_is_a_parent_with_one_child_per_trial(start, tracking):
    recorder = start()
    recorder.study_started("name: loss weights", {"sampler": "tpe"}, {"mhray.commit": "abc"})
    for number in range(3):
        run_trial(recorder, number)
    recorder.study_ended("COMPLETE", {"val/left_acc": 0.5}, {"mhray.best_trial": "0"})
    assert recorder.close(10) == 0
    assert_one_run_each(tracking, trials=3)
    children = [run for name, run in runs(tracking).items() if name.startswith("trial")]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {recorder.study_run_id}


def test_the_study_s_run_shows_its_file_params_and_result(start, tracking):
    recorder = start()
    recorder.study_started("name: loss weights", {"sampler": "tpe"}, {"mhray.commit": "abc"})
    recorder.study_ended("COMPLETE", {"val/left_acc": 0.5}, {"mhray.best_trial": "0"})
    recorder.close(10)
    data = runs(tracking)["loss weights"].data
    assert data.tags["mlflow.note.content"] == "```yaml\nname: loss weights\n```"
    assert data.tags["mhray.commit"] == "abc"
    assert data.tags["mhray.best_trial"] == "0"
    assert data.params == {"sampler": "tpe"}
    assert data.metrics == {"best/val/left_acc": 0.5}


def test_the_result_is_shown_though_the_clock_was_put_back_before_it(start, tracking):
    start().study_ended("INTERRUPTED", {"val/left_acc": 0.6, "val/loss": 1.0}, {}, at=2000.0)
    recorder = start()
    for _ in range(2):
        recorder.study_ended("COMPLETE", {"val/left_acc": 0.7, "val/loss": 0.9}, {}, at=1000.0)
    recorder.close(10)
    metrics = runs(tracking)["loss weights"].data.metrics
    assert metrics == {"best/val/left_acc": 0.7, "best/val/loss": 0.9}
    assert points_of(tracking, "loss weights", "best/val/loss") == [(0, 1.0), (0, 0.9)]


def test_a_trial_s_run_shows_its_overrides_and_how_to_repeat_it(start, tracking):
    recorder = start()
    recorder.trial_started(7, ["model.loss_weights.left=0.5", "a=[1, 2]"], 12345, {"mhray.x": "y"})
    recorder.close(10)
    data = runs(tracking)["trial 7"].data
    line = "python -m mhray.train model.loss_weights.left=0.5 'a=[1, 2]' seed=12345"
    assert data.params == {"model.loss_weights.left": "0.5", "a": "[1, 2]"}
    assert data.tags["mhray.reproduce"] == line
    assert data.tags["mlflow.note.content"] == (
        "Overrides of this trial:\n```text\nmodel.loss_weights.left=0.5\na=[1, 2]\n```\n\n"
        f"Reproduce it:\n```sh\n{line}\n```"
    )
    assert (data.tags["mhray.trial"], data.tags["mhray.seed"]) == ("7", "12345")
    assert data.tags["mhray.x"] == "y"


def test_a_seed_among_the_overrides_is_not_repeated(start, tracking):
    recorder = start()
    recorder.trial_started(0, ["seed=3"], 3, {})
    recorder.close(10)
    assert runs(tracking)["trial 0"].data.tags["mhray.reproduce"] == "python -m mhray.train seed=3"


def test_epochs_are_steps_at_the_time_they_ended(start, tracking):
    recorder = start()
    run_trial(recorder, 0)
    recorder.close(10)
    assert points_of(tracking, "trial 0", "val/left_acc") == [(1, 0.5), (2, 0.5)]
    assert points_of(tracking, "trial 0", "epoch_seconds") == [(1, 2.0), (2, 2.0)]
    (first, _) = tracking.client.get_metric_history(recorder.run_id_of(0), "val/left_acc")
    assert first.timestamp == 1_001_000


def test_values_that_are_no_numbers_arrive(start, tracking):
    recorder = start()
    recorder.epoch_ended(0, EpochRow(1, {"a": math.nan, "b": math.inf}, 0.0, 1.0, 1.0))
    recorder.close(10)
    metrics = runs(tracking)["trial 0"].data.metrics
    assert math.isnan(metrics["a"])
    assert metrics["b"] > 1e308


@pytest.mark.parametrize(
    ("end", "status"), [("COMPLETE", "FINISHED"), ("PRUNED", "FINISHED"), ("FAIL", "FAILED")]
)
def test_how_a_trial_ended_is_its_status(start, tracking, end, status):
    recorder = start()
    run_trial(recorder, 0, end)
    recorder.close(10)
    run = runs(tracking)["trial 0"]
    assert run.info.status == status
    assert run.data.tags["mhray.state"] == end
    assert run.data.metrics["best/val/left_acc"] == 0.5
    assert run.data.metrics["duration_seconds"] == 4.0
    assert run.data.tags.get("mhray.failure") == ("out of memory" if end == "FAIL" else None)


def test_test_metrics_keep_their_name(start, tracking):
    recorder = start()
    recorder.trial_tested(0, {"test/left_acc": 0.25})
    recorder.close(10)
    assert runs(tracking)["trial 0"].data.metrics == {"test/left_acc": 0.25}


def test_an_interrupted_study_runs_again_when_it_is_resumed(start, tracking):
    recorder = start()
    recorder.study_started("", {}, {})
    recorder.study_ended("INTERRUPTED", {}, {})
    recorder.close(10)
    assert runs(tracking)["loss weights"].info.status == "KILLED"
    again = start()
    again.study_started("", {}, {})
    again.close(10)
    assert runs(tracking)["loss weights"].info.status == "RUNNING"


def test_an_interrupted_trial_keeps_its_run(start, tracking):
    first = start()
    first.trial_started(0, ["a=1"], 1, {})
    first.epoch_ended(0, row(1))
    first.close(10)
    run_trial(start(), 0, epochs=())
    second = start()
    run_trial(second, 0, epochs=(1, 2, 3))
    second.close(10)
    assert len(tracking.client.search_runs([tracking.experiment_id])) == 1
    assert points_of(tracking, "trial 0", "val/left_acc") == [(1, 0.5), (2, 0.5), (3, 0.5)]


def test_a_started_trial_runs_again_after_it_had_failed(start, tracking):
    recorder = start()
    run_trial(recorder, 0, "FAIL")
    recorder.trial_started(0, ["model.loss_weights.left=0.0"], 12345, {})
    recorder.close(10)
    assert runs(tracking)["trial 0"].info.status == "RUNNING"
    assert not recorder.has_ended(0)


def test_a_resumed_sweep_may_tell_again_what_its_journal_holds(start, tracking):
    first = start()
    run_trial(first, 0)
    first.close(10)
    before = everything(tracking)
    second = start()
    assert second.has_ended(0)
    second.epoch_ended(0, row(1, acc=0.9))
    second.trial_ended(0, "COMPLETE", {"val/left_acc": 0.9}, 9.0)
    second.close(10)
    assert everything(tracking) == before


def test_studies_of_one_name_in_two_journals_do_not_mix(start, tracking):
    for key in ("journal 1", "journal 2"):
        recorder = start(key=key, name=f"{key}.jsonl")
        recorder.study_started("", {}, {})
        recorder.close(10)
    assert len(tracking.client.search_runs([tracking.experiment_id])) == 2


def test_a_process_killed_before_it_saved_its_position_repeats_nothing(start, tracking, tmp_path):
    recorder = start()
    recorder.study_started("name: x", {"a": "b"}, {})
    for number in range(3):
        run_trial(recorder, number)
    recorder.close(10)
    before = everything(tracking)
    (tmp_path / "mlflow.jsonl.position").unlink()
    assert start().close(10) == 0
    assert everything(tracking) == before


def test_another_store_gets_the_whole_study(start, tracking, tmp_path):
    recorder = start()
    run_trial(recorder, 0)
    recorder.close(10)
    moved = start(uri=f"sqlite:///{tmp_path}/another.db")
    assert moved.flush(20) == 0
    experiment = tracking.client.get_experiment(tracking.experiment_id).name
    there = open_tracking(f"sqlite:///{tmp_path}/another.db", experiment, tmp_path)
    assert points_of(there, "trial 0", "val/left_acc") == [(1, 0.5), (2, 0.5)]


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from mhray.training.outbox import Outbox, RunUpdate
outbox = Outbox(Path(sys.argv[1]), "nowhere")
print("ready", flush=True)
for step in range(10**9):
    outbox.add(RunUpdate("k", 1000 + step, "trial 0", step=step, metrics={"a": float(step)}))
"""


def test_a_process_killed_in_the_middle_of_writing_loses_nothing_it_wrote(tmp_path):
    path = tmp_path / "mlflow.jsonl"
    arguments = [sys.executable, "-c", WRITE_FOR_EVER, str(path)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
        writer.stdout.readline()
        time.sleep(0.3)
        writer.kill()
    outbox = Outbox(path, "here")
    steps = [update.step for update in outbox.history()]
    outbox.close()
    assert len(steps) > 100
    assert steps == list(range(len(steps)))


@given(st.text(max_size=50))
def test_every_name_becomes_one_that_mlflow_accepts(name):
    assert set(fitting_name(name)) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./: "
    )


def test_a_value_too_long_for_mlflow_is_cut_and_says_so(start, tracking):
    recorder = start()
    recorder.study_started("#" * 9000, {}, {})
    recorder.trial_started(0, [f"a={'x' * 7000}", "b=1"], 1, {})
    recorder.close(10)
    data = runs(tracking)["trial 0"].data
    assert len(data.params["a"]) == 6000
    assert data.params["a"].endswith("x ... (cut: 7000 characters; whole in the journal)")
    assert data.params["b"] == "1"
    note = runs(tracking)["loss weights"].data.tags["mlflow.note.content"]
    assert note.endswith(" ... (cut: 9000 characters; whole in the journal)\n```")


@given(st.text(max_size=300), st.integers(100, 200))
def test_cut_text_fits(text, longest):
    assert len(cut(text, longest)) <= longest


def test_an_outbox_that_cannot_be_written_is_an_error(tracking, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot be written"):
        StudyRecorder(tracking, "x", "y", tmp_path / "file" / "study" / "mlflow.jsonl")


class Server:
    """A real `mlflow server` that can go away and come back at the same address."""

    def __init__(self, directory):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.directory = directory

    def start(self):
        store = [f"--backend-store-uri=sqlite:///{self.directory}/server.db"]
        place = [f"--artifacts-destination={self.directory}/artifacts", f"--port={self.port}"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--workers=1", *store, *place],
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while not self.is_healthy():
            assert self.process.poll() is None
            time.sleep(0.2)

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start()
    yield server
    server.stop()


def test_a_server_that_goes_away_delays_nobody_and_gets_everything_once(server, tmp_path):
    tracking = open_tracking(server.uri, "outage", tmp_path)
    recorder = StudyRecorder(tracking, "loss weights", "journal", tmp_path / "mlflow.jsonl")
    recorder.study_started("name: loss weights", {}, {})
    run_trial(recorder, 0)
    assert recorder.flush(10) == 0
    server.stop()
    began = time.monotonic()
    for number in (1, 2, 3):
        run_trial(recorder, number, epochs=range(1, 21))
    assert time.monotonic() - began < 30, "a call that waits for the server takes minutes"
    assert recorder.flush(2) == 72 - 6
    assert recorder.last_error.startswith(f"mlflow.tracking_uri: {server.uri} cannot be opened")
    server.start()
    assert recorder.close(30) == 0
    assert_one_run_each(tracking, trials=4)
    assert points_of(tracking, "trial 3", "val/left_acc") == [(e, 0.5) for e in range(1, 21)]


class Silent(socketserver.BaseRequestHandler):
    """A server that takes a request and never answers."""

    def handle(self):
        while self.request.recv(1024):
            pass


class Broken(BaseHTTPRequestHandler):
    """A server that answers every request with 500."""

    def do_GET(self):
        self.send_error(500)

    def log_message(self, *_):
        """Nothing, where the base class writes to standard error."""


class Impostor(ThreadingHTTPServer):
    """Something else at the address of a server that was killed, whose port may be free later."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_port = True

    def server_bind(self):
        while True:
            try:
                return super().server_bind()
            except OSError:
                time.sleep(0.1)


class Elsewhere(Broken):
    """A server of something else."""

    def do_GET(self):
        self.send_error(404)


@contextmanager
def listening(handler, port=0):
    with Impostor(("127.0.0.1", port), handler) as impostor:
        threading.Thread(target=impostor.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{impostor.server_port}"
        impostor.shutdown()


@pytest.mark.parametrize(
    ("handler", "error"),
    [(Silent, NoAnswerError), (Broken, NoAnswerError), (Elsewhere, StorageError)],
)
def test_a_server_in_trouble_does_not_answer_and_another_one_refuses(
    handler, error, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with listening(handler) as uri, pytest.raises(StorageError) as raised:
        open_tracking(uri, "x", tmp_path)
    assert type(raised.value) is error


def wait_for_error(recorder, part):
    give_up = time.monotonic() + 120
    while part not in recorder.last_error:
        assert time.monotonic() < give_up, recorder.last_error
        time.sleep(0.1)


def test_a_resumed_start_needs_no_mlflow_whatever_answers_in_its_place(
    server, tmp_path, monkeypatch
):
    monkeypatch.setattr(outbox, "LONGEST_PAUSE", 0.5)
    place, study = (server.uri, "silence", tmp_path), ("x", "j", tmp_path / "m.jsonl")
    first = StudyRecorder(open_tracking(*place), *study)
    first.study_started("", {}, {})
    assert first.close(30) == 0
    server.stop()
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    away = StudyRecorder(expect_tracking(*place), *study, may_be_away=True)
    run_trial(away, 0)
    wait_for_error(away, "NewConnectionError")
    for handler, why in ((Silent, "ReadTimeoutError"), (Broken, "too many 500 error")):
        with listening(handler, server.port):
            wait_for_error(away, why)
    assert away.close(0.1) == 4
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    server.start()
    assert StudyRecorder(expect_tracking(*place), *study, may_be_away=True).close(30) == 0
    assert sorted(runs(open_tracking(*place))) == ["trial 0", "x"]
    assert points_of(open_tracking(*place), "trial 0", "val/left_acc") == [(1, 0.5), (2, 0.5)]


def test_confirmation_runs_are_children_of_the_study_with_numbers_and_a_tag_of_their_own(
    start, tracking
):
    recorder = start()
    recorder.study_started("name: x", {}, {})
    for one in (recorder, recorder.of_confirmations()):
        run_trial(one, 0)
    assert recorder.flush(10) == 0
    found = runs(tracking)
    assert set(found) == {"loss weights", "trial 0", "confirmation 0"}
    tags = found["confirmation 0"].data.tags
    assert (tags["mhray.confirm"], "mhray.trial" in tags) == ("0", False)
    assert tags["mlflow.parentRunId"] == found["loss weights"].info.run_id
