import pytest

from mhray.tuning.autoscaler import brought_by_ray
from mhray.tuning.capacity import Node

CONFIG = """
max_workers: 4
available_node_types:
  head: {resources: {CPU: 0}, max_workers: 0}
  gpu: {resources: {CPU: 8, GPU: 1, memory: 1000}, max_workers: 3}
  cpu: {resources: {CPU: 16}}
  unknown: {resources: {}}
"""


@pytest.fixture
def processes(tmp_path):
    """A machine on which one process scales a cluster, as /proc shows it."""
    process = tmp_path / "41"
    (process / "cwd").mkdir(parents=True)
    (process / "cwd" / "cluster.yaml").write_text(CONFIG)
    words = ("python", "-u", "/ray/monitor.py", "--gcs-address=10.0.0.1:6379")
    (process / "cmdline").write_text("\0".join((*words, "--autoscaling-config=cluster.yaml", "")))
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "cmdline").write_bytes(b"\xff\0")
    (tmp_path / "43").mkdir()
    return tmp_path


def test_what_the_config_of_a_cluster_allows_can_be_brought(processes):
    found = list(brought_by_ray("10.0.0.1:6379", processes))
    assert found == [Node(8, 1, 1000, 3), Node(16, 0, float("inf"), 4)]


def test_the_config_of_another_cluster_brings_nothing(processes):
    assert list(brought_by_ray("10.0.0.2:6379", processes)) == []
