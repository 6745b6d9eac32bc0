"""Sweeps on hosts that share no network address, no data and no processes: only a disk.

Each worker is a host of its own; in the long form the head, the driver and MLflow's server are as
well. The data lie on the driver alone. Hosts are killed, cut off and added while trials run.
"""

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.chaos.checks import Aftermath, count_is_exact, few_epochs_are_repeated
from tests.chaos.records import journal_in
from tests.chaos.sweeps import Shape, study_of
from tests.cluster.hosts import Host, Network, wait_until

LONG = 900.0  # seconds; only a test that has failed already waits so long
NAME = "sweep"
DATA = "/mnt/data"


@dataclass
class Sweep:
    """A sweep whose command runs on a host of its own.

    Attributes:
        storage: which all hosts see.
        shape: of its study.
        command: as it runs.
        driver: where it runs.
    """

    storage: Path
    shape: Shape
    command: subprocess.Popen
    driver: Host

    def has_saved(self, trial, epochs=1):
        """Whether a trial has ended so many epochs."""
        told = {told.number: told for told in journal_in(self.storage)}
        return trial in told and len(told[trial].best_by_epoch) >= epochs

    def problems(self, kills):
        """What is wrong once it has come to its end."""
        code, told = self.command.wait(), journal_in(self.storage)
        saved = {str(trial.number): len(trial.best_by_epoch) for trial in told}
        seen = Aftermath((), told, (), (), self.shape.trials, self.shape.epochs, saved, kills, code)
        wrong = [*count_is_exact(seen), *few_epochs_are_repeated(seen)]
        return [*wrong, *([f"exit code {code}"] if code else [])]

    def fetched(self):
        """Bytes in MiB and seconds, by address, as the log tells them."""
        pattern = r"data: (\S+) fetched (\S+) MiB in (\S+) s"
        return {
            host: (float(size), float(took))
            for host, size, took in re.findall(pattern, self.driver.said())
        }


def cluster(hosts: Network, *workers: str, dashboard: bool = False) -> Host:
    """Ray on a head that trains nothing, and on workers of one core; the head."""
    head = hosts.add("head")
    head.ray("--head", "--port=6379", "--num-cpus=0", f"--include-dashboard={dashboard}")
    for name in workers:
        join(hosts.add(name))
    return head


def join(host, cpus=1):
    host.ray("--address=10.77.0.1:6379", f"--num-cpus={cpus}")


def begin(driver: Host, directory: Path, data: Path, shape: Shape, tracking_uri: str) -> Sweep:
    """Start a sweep on the driver, which alone has the data."""
    driver.run("cp", "-r", str(data), DATA)
    storage = directory / NAME
    storage.mkdir()
    study = study_of(NAME, shape, Path(DATA), storage / "studies", tracking_uri)
    (storage / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    command = [sys.executable, "-m", "mhray.sweep", str(storage / "study.yaml")]
    return Sweep(storage, shape, driver.start(*command, RAY_ADDRESS="10.77.0.1:6379"), driver)


def size_of(data):
    return sum(path.stat().st_size for path in data.iterdir() if not path.name.startswith("."))


def seconds_until(is_so):
    """How long that takes."""
    begun = time.monotonic()
    wait_until(is_so, LONG)
    return time.monotonic() - begun


def test_data_reach_all_hosts_and_a_trial_whose_host_is_killed_goes_on_elsewhere(
    hosts, small_data, tmp_path, figures
):
    head = cluster(hosts, "one", "two")
    sweep = begin(head, tmp_path, small_data, Shape(4, 8), "sqlite:////mnt/mlflow.db")
    wait_until(lambda: sweep.has_saved(0) and sweep.has_saved(1), LONG)
    hosts.kill("one")
    waited = seconds_until(lambda: "is tried again" in head.said())
    assert sweep.problems(kills=1) == []
    megabytes = pytest.approx(size_of(small_data) / 2**20, abs=0.1)
    fetched = sweep.fetched()
    assert {host: size for host, (size, _) in fetched.items()} == dict.fromkeys(
        ("10.77.0.2", "10.77.0.3"), megabytes
    )
    figures(fetched=fetched, kill_was_noticed_after_s=round(waited, 1))


@pytest.mark.long
def test_a_host_that_is_cut_off_loses_no_trial_and_one_that_comes_later_takes_over(
    hosts, small_data, tmp_path, figures
):
    cluster(hosts, "one")
    driver, server = hosts.add("driver"), hosts.add("mlflow")
    join(driver, 0)
    arguments = f"server --host {server.address} --allowed-hosts * --port 5000 --workers 1"
    store = ["--backend-store-uri", "sqlite:////mnt/mlflow.db"]
    store += ["--artifacts-destination", "/mnt/artifacts"]
    server.start(sys.executable, "-m", "mlflow", *arguments.split(), *store)
    shape = Shape(3, 12)
    sweep = begin(driver, tmp_path, small_data, shape, f"http://{server.address}:5000")
    wait_until(lambda: sweep.has_saved(0), LONG)
    hosts.cut_off("one")
    join(hosts.add("late"))
    waited = seconds_until(lambda: "is tried again" in driver.said())
    assert sweep.problems(kills=1) == []
    assert len(sweep.fetched()) == 2
    assert "MLflow is away" not in driver.said()
    figures(fetched=sweep.fetched(), cut_was_noticed_after_s=round(waited, 1))


@pytest.mark.long
def test_two_hosts_train_one_model_together(hosts, small_data, tmp_path, figures):
    head = cluster(hosts, "one", "two", dashboard=True)
    begun = time.monotonic()
    sweep = begin(head, tmp_path, small_data, Shape(2, 2, workers=2), "sqlite:////mnt/mlflow.db")
    assert sweep.problems(kills=0) == []
    assert len(sweep.fetched()) == 2
    figures(fetched=sweep.fetched(), whole_sweep_s=round(time.monotonic() - begun, 1))
