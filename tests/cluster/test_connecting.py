"""A sweep comes to a cluster: several raylets on this machine, one of which may see other disks."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from mhray.sweep import main
from mhray.training.project import shipped_directory

STUDY = shipped_directory() / "configs" / "sweep_weights.yaml"
OWN_NET = "from mhray.models.cnn import SimpleCNN\n\n\nclass OwnNet(SimpleCNN):\n    pass\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head on which nothing trains, and a node of one core."""
    with pytest.MonkeyPatch.context() as patch:
        folder = Path(f"/tmp/mhray-{os.getpid()}")
        patch.setenv("RAY_TMPDIR", str(folder))
        patch.setenv("RAY_ADDRESS", "")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
        cluster.add_node(num_cpus=1)
        yield cluster
        cluster.shutdown()
        shutil.rmtree(folder)


@pytest.fixture
def sweep(cluster, small_data, tmp_path, monkeypatch, capfd):
    """The command in this process, on a short study; gives its exit code, output and errors."""
    monkeypatch.chdir(tmp_path)
    short = [
        f"base.data.data_dir={small_data}",
        "base.data.batch_size=60",
        "base.trainer.max_epochs=2",
        "scheduler=null",
        "budget.trials=2",
    ]

    def run(*arguments):
        code = main([str(STUDY), *short, *arguments])
        return code, *capfd.readouterr()

    return run


@contextmanager
def node_without(directory, address):
    """A node of one core that has an empty disk where this machine has a directory."""
    script = (
        f"mount -t tmpfs none {directory} && exec {sys.executable} -m ray.scripts.scripts "
        f"start --address={address} --num-cpus=1 --block"
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", script],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def wait_for_nodes(cluster, count):
    while sum(node["Alive"] for node in cluster.global_state.node_table()) < count:
        time.sleep(0.2)


def test_a_sweep_uses_the_ray_of_this_machine_and_takes_its_code_there(
    sweep, cluster, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "own_net.py").write_text(OWN_NET)
    groups = tmp_path / "groups" / "model"
    groups.mkdir(parents=True)
    shipped = (shipped_directory() / "configs/model/cifar100mh_cnn.yaml").read_text()
    (groups / "own.yaml").write_text(
        shipped.replace("mhray.models.cnn.SimpleCNN", "own_net.OwnNet")
    )
    code, out, error = sweep("base.model=own", "--config-dir", "groups")
    assert code == 0, out + error
    first = out.splitlines()[0]
    assert f"1 at a time on the cluster at {cluster.address} (1 cores, 0 GPUs; which runs" in first
    assert not list(tmp_path.glob("studies/*/checkpoints/.sweep-*"))


def test_a_storage_that_a_node_does_not_see_is_refused(sweep, cluster, tmp_path):
    with node_without(tmp_path, cluster.address):
        wait_for_nodes(cluster, 3)
        code, _, error = sweep()
    assert code == 2
    assert "cluster: 1 of 2 nodes cannot take part:" in error
    assert f"does not see {tmp_path}/studies/loss_weights; write a storage on a disk" in error
    assert not list(tmp_path.iterdir())


def test_a_node_with_another_torch_is_refused_with_both_versions(sweep, cluster, tmp_path):
    packages = tmp_path / "packages"
    metadata = packages / "torch-2.0.0.dist-info" / "METADATA"
    metadata.parent.mkdir(parents=True)
    metadata.write_text("Metadata-Version: 2.1\nName: torch\nVersion: 2.0.0\n")
    path = os.pathsep.join([str(packages), os.environ.get("PYTHONPATH", "")])
    node = cluster.add_node(num_cpus=1, env_vars={"PYTHONPATH": path})
    code, _, error = sweep()
    cluster.remove_node(node)
    assert code == 2
    assert "torch is 2.0.0 there and 2." in error
    assert not (tmp_path / "studies").exists()
