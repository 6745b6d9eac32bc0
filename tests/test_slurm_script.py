"""``cluster/slurm.sh`` with a sweep and a SLURM in its place that only say how they end."""

import os
import re
import signal
import subprocess

import pytest

from mhray.training.project import PACKAGE

SCRIPT = (PACKAGE.parent / "cluster" / "slurm.sh").read_text()
JOB = {"SLURM_JOB_ID": "7", "SLURM_NNODES": "1", "SLURM_JOB_NODELIST": "one"}
GO_ON = "or, in a job again: sbatch cluster/slurm.sh 'study.yaml' 'budget.trials=3'\n"
LOOPS = "while :; do sleep 0.1; done"
RAY = 'echo Ray runtime started; while grep -qx "PPid:\t$PPID" /proc/$$/status; do sleep 0.1; done'
RUNS = re.search(r"^runs\(\) \{\n.*?^\}\n", SCRIPT, re.MULTILINE | re.DOTALL)[0]


@pytest.fixture
def job(tmp_path):
    """Starts a job whose sweep is a program of bash's, which is given five seconds to end."""
    (tmp_path / "slurm.sh").write_text(SCRIPT.replace("SECONDS + 29", "SECONDS + 5"))
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray" / "auth_token").touch()
    places = tmp_path / ".venv" / "bin"
    places.mkdir(parents=True)

    def start(sweep):
        programs = {"srun": RAY, "python": f"[ $1 = -m ] || exit 0\n{sweep}"}
        for name, program in programs.items():
            (places / name).write_text(f"#!/bin/bash\n{program}\n")
            (places / name).chmod(0o755)
        command = ["bash", "slurm.sh", "study.yaml", "budget.trials=3"]
        variables = {**JOB, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
        return subprocess.Popen(
            command,
            cwd=tmp_path,
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    return start


def test_a_process_that_has_the_number_of_the_sweep_by_now_is_not_the_sweep():
    """``kill -0`` took it for that, and waited for its end."""
    script = f"{RUNS} sleep 60 & runs $! && ! runs {os.getpid()} && kill $!; wait $!; ! runs $!"
    assert subprocess.run(["bash", "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("code", [0, 2, 3])
def test_a_job_ends_with_the_exit_code_of_its_sweep(job, code):
    running = job(f"exit {code}")
    _, said = running.communicate()
    assert running.returncode == code
    assert said == (GO_ON if code == 3 else "")


@pytest.mark.parametrize(
    ("ends", "told", "code"),
    [
        (os.kill, "trap 'exit 3' TERM", 3),
        (os.killpg, "trap 'exit 3' TERM", 3),  # as scancel does
        (os.killpg, "trap 'exit 1' TERM", 3),  # Ray's own, if it was ended as well
        (os.kill, "trap '' TERM", 3),
        (os.kill, "trap 'exit 0' TERM", 0),
    ],
)
def test_a_job_that_is_ended_says_how_to_go_on_however_its_sweep_ends(job, ends, told, code):
    running = job(f"{told}; echo begun; {LOOPS}")
    assert running.stdout.readline() == "begun\n"
    ends(running.pid, signal.SIGTERM)
    _, said = running.communicate()
    assert running.returncode == code
    assert said.endswith(GO_ON) == (code == 3)
