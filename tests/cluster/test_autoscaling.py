"""Ray's own autoscaler and a sweep: nodes come for it, and leave after it.

Its provider is the one that starts nodes on this machine.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.chaos.records import journal_in
from tests.chaos.sweeps import Shape, study_of

HEAD = "f" * 51 + "00000"  # what the provider takes the head for
LONG = 600.0  # seconds; only a test that has failed already waits so long
RAY = str(Path(sys.executable).with_name("ray"))
LISTS = [f"{when}_commands" for when in ("initialization", "setup", "head_setup", "worker_setup")]
LISTS += ["head_start_ray_commands", "worker_start_ray_commands"]
LISTS += ["cluster_synced_files", "rsync_exclude", "rsync_filter"]
STATUS = "import ray, sys; ray.init(sys.argv[1], log_to_driver=False, logging_level='ERROR'); "
STATUS += "print(sorted(node['Alive'] for node in ray.nodes() if node['NodeID'] != sys.argv[2]))"

pytestmark = pytest.mark.long


@pytest.fixture
def autoscaled(tmp_path):
    """The address of a head without cores, to which at most two nodes of one core may be added."""
    port = 20000 + os.getpid() % 10000
    address = f"127.0.0.1:{port}"
    config = {
        "cluster_name": "pretended",
        "max_workers": 2,
        "idle_timeout_minutes": 0.2,
        "provider": {
            "type": "external",
            "module": "ray.autoscaler._private.fake_multi_node.node_provider.FakeMultiNodeProvider",
            "head_node_id": HEAD,
            "gcs_address": address,
            "disable_node_updaters": True,
        },
        "available_node_types": {
            "ray.head.default": {"resources": {"CPU": 0}, "max_workers": 0, "node_config": {}},
            "worker": {"resources": {"CPU": 1}, "max_workers": 2, "node_config": {}},
        },
        "head_node_type": "ray.head.default",
        **{name: {} for name in ("auth", "docker", "file_mounts")},
        **{name: [] for name in LISTS},
    }
    (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(config))
    temp = Path(f"/tmp/mhray-{os.getpid()}")
    environment = os.environ | {
        "RAY_enable_autoscaler_v2": "1",
        "RAY_CLOUD_INSTANCE_ID": HEAD,
        "RAY_OVERRIDE_NODE_ID_FOR_TESTING": HEAD,
        "RAY_NODE_TYPE_NAME": "ray.head.default",
        "RAY_FAKE_CLUSTER": "1",
        "RAY_AUTH_MODE": "disabled",
        "AUTOSCALER_UPDATE_INTERVAL_S": "1",
        "RAY_TMPDIR": str(temp),
    }
    words = [f"--port={port}", "--num-cpus=0", f"--temp-dir={temp}", "--include-dashboard=False"]
    words += [f"--autoscaling-config={tmp_path / 'cluster.yaml'}"]
    head = subprocess.Popen([RAY, "start", "--head", "--block", *words], env=environment)
    yield address
    head.terminate()
    head.wait()
    shutil.rmtree(temp)


def nodes(address):
    """Whether each node that ever came is still there."""
    words = [sys.executable, "-c", STATUS, address, HEAD]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return yaml.safe_load(said)


def test_a_sweep_has_as_many_nodes_brought_as_it_fills_and_holds_none_at_its_end(
    autoscaled, small_data, tmp_path
):
    directory = tmp_path / "sweep"
    directory.mkdir()
    study = study_of("sweep", Shape(4, 6), small_data, directory / "studies", "sqlite:///mlflow.db")
    (directory / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    command = [sys.executable, "-m", "mhray.sweep", "study.yaml"]
    done = subprocess.run(
        command,
        cwd=directory,
        env=os.environ | {"RAY_ADDRESS": autoscaled},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 trials, 2 at a time on the cluster at" in done.stdout
    assert [trial.state for trial in journal_in(directory)] == ["COMPLETE"] * 4
    waited = time.monotonic()
    while any(left := nodes(autoscaled)):
        assert time.monotonic() - waited < LONG, left
        time.sleep(2)
    assert left == [False, False]
