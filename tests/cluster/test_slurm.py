"""``cluster/slurm.sh`` for real, under a SLURM whose nodes are hosts of this machine."""

import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.chaos.checks import (
    Aftermath,
    count_is_exact,
    finished_trials_are_kept,
    running_trials_stay_themselves,
)
from tests.chaos.records import journal_in
from tests.chaos.sweeps import Shape, study_of
from tests.cluster.hosts import wait_until
from tests.cluster.slurm import DATA, PROGRAMS, slurm

LONG = 3600.0  # seconds; only a test that has failed already waits so long
NAME = "sweep"
SCRIPT = "cluster/slurm.sh"
MISSING = [name for name, path in PROGRAMS.items() if not path]

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        bool(MISSING) or not shutil.which("sbatch"),
        reason="a sweep under SLURM: its programs are not here; install slurm-wlm and munge",
    ),
]


@pytest.fixture
def played(hosts, tmp_path, small_data):
    """A SLURM of two nodes, of which the first alone has the data."""
    return slurm(hosts, tmp_path, small_data, "one", "two")


@dataclass(frozen=True)
class Sweep:
    """A sweep that jobs run, each with the same words.

    Attributes:
        storage: which all nodes see.
        shape: of its study.
        words: of ``sbatch``.
    """

    storage: Path
    shape: Shape
    words: tuple[str, ...]

    def told(self):
        """The trials that its journal has."""
        return journal_in(self.storage)

    def problems(self, *before):
        """What is wrong at its end, given what its journal had when jobs were ended."""
        told, trials, epochs = self.told(), self.shape.trials, self.shape.epochs
        seen = Aftermath(before, told, (), (), trials, epochs, {}, len(before), 0)
        checks = (count_is_exact, finished_trials_are_kept, running_trials_stay_themselves)
        return [problem for check in checks for problem in check(seen)]


def sweep_in(directory, shape, *options):
    """A small sweep that no job has run yet."""
    storage = directory / NAME
    storage.mkdir()
    study = study_of(NAME, shape, Path(DATA), storage / "studies", "sqlite:////mnt/mlflow.db")
    # As many as a node has: no two workers of a model fit on one.
    study["resources"]["per_worker"] = {"cpus": shape.workers}
    (storage / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    words = ("--nodes=2", "--gpus-per-node=0", *options, SCRIPT, str(storage / "study.yaml"))
    return Sweep(storage, shape, words)


def test_a_sweep_uses_all_nodes_of_its_job_and_leaves_none_of_its_files_on_them(
    played, tmp_path, figures
):
    begun = time.monotonic()
    sweep = sweep_in(tmp_path, Shape(4, 2), "--gpus-per-node=1")
    job = played.submit(*sweep.words)
    assert job.end(LONG) == "0:0"
    assert sweep.problems() == []
    assert "(4 cores, 2 GPUs; from RAY_ADDRESS)" in job.said().splitlines()[0]
    assert "raylet" not in job.said()
    left = [node.answer("sh", "-c", "ls -d /tmp/mhray-*")[1] for node in played.nodes]
    assert all("No such file" in answer for answer in left)
    figures(whole_job_s=round(time.monotonic() - begun, 1))


def time_is_nearly_over(job):
    # The script asks to be told two minutes before.
    job.slurm.call("scontrol", "update", f"jobid={job.number}", "timelimit=2")


def time_is_over(job):
    job.slurm.call("scontrol", "update", f"jobid={job.number}", "timelimit=1")


def is_cancelled(job):
    job.slurm.call("scancel", job.number)


@pytest.mark.parametrize("ends", [time_is_nearly_over, time_is_over, is_cancelled])
def test_a_job_that_is_ended_says_how_to_go_on_and_the_next_one_loses_nothing(
    ends, played, tmp_path, figures
):
    sweep = sweep_in(tmp_path, Shape(3, 180))  # more than a minute, on a quick machine too
    job = played.submit(*sweep.words)
    wait_until(lambda: re.search(r"^trial \d epoch", job.said(), re.MULTILINE), LONG)
    ends(job)
    wait_until(lambda: " CANCELLED AT " in job.said(), LONG)
    begun = time.monotonic()
    assert job.end(LONG) == "3:0"
    took, before = time.monotonic() - begun, sweep.told()
    assert f"stopped; resume with: python -m mhray.sweep {sweep.words[-1]}" in job.said()
    assert f"sbatch cluster/slurm.sh '{sweep.words[-1]}'" in job.said()
    again = played.submit(*sweep.words)
    assert again.end(LONG) == "0:0"
    assert "again from epoch" in again.said()
    assert sweep.problems(before) == []
    figures(ended_by=ends.__name__, state=job.fact("JobState"), took_s=round(took, 1))


def test_two_nodes_train_one_model_together(played, tmp_path, figures):
    begun = time.monotonic()
    sweep = sweep_in(tmp_path, Shape(2, 2, workers=2))
    job = played.submit(*sweep.words)
    assert job.end(LONG) == "0:0"
    assert sweep.problems() == []
    assert re.findall(r"data: (\S+) fetched", job.said()) == ["10.77.0.2"]
    figures(whole_job_s=round(time.monotonic() - begun, 1))


def test_wrong_use_ends_with_what_to_write_instead(played, tmp_path):
    here = f"--output={played.checkout}/slurm-%j.out"
    for words, message in {
        (SCRIPT,): "no study is named; write: sbatch cluster/slurm.sh configs/sweep_weights.yaml",
        (f"--chdir={tmp_path}", here, SCRIPT, "x.yaml"): f"{tmp_path} has no .venv with mhray",
    }.items():
        job = played.submit("--nodes=1", "--gpus-per-node=0", *words)
        assert job.end(LONG) == "2:0"
        assert f"error: cluster/slurm.sh: {message}" in job.said()
    code, said = played.try_to("bash", SCRIPT, "x.yaml")
    assert code == 2
    assert "runs in no job of SLURM's; write: sbatch cluster/slurm.sh STUDY.yaml" in said


def test_a_storage_that_one_node_alone_sees_is_refused(played, tmp_path):
    sweep = sweep_in(tmp_path, Shape(2, 2))
    job = played.submit(*sweep.words, "storage=/mnt/own")
    assert job.end(LONG) == "2:0"
    assert "write a storage on a disk that every node mounts" in job.said()
    assert sweep.told() == []


def test_a_node_on_which_ray_does_not_start_ends_the_job_with_what_ray_said(played, tmp_path):
    sweep = sweep_in(tmp_path, Shape(2, 2))
    played.nodes[1].run("mount", "-t", "tmpfs", "-o", "ro", "none", "/tmp")
    job = played.submit(*sweep.words)
    assert job.end(LONG) == "2:0"
    assert "Ray did not start on all 2 nodes (one,two); " in job.said()
