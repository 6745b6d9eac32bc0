"""What a cluster's autoscaler may still bring, by the config that it was started with.

Ray's own autoscaler tells nobody: the config is a file on the head, named in the command line of
the process that scales. KubeRay's does, through Ray. Elsewhere than on the head a cluster is taken
as it is.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any

import yaml

from mhray.tuning.capacity import Node

PROCESSES = Path("/proc")
SCALER, AT, CONFIG = "monitor.py", "--gcs-address=", "--autoscaling-config="


def brought_by_ray(address: str, processes: Path = PROCESSES) -> Iterator[Node]:
    """The nodes that Ray's autoscaler may have at the same time.

    Args:
        address: of the head.
        processes: of this machine, as the system shows them.
    """
    for file in _configs(address, processes):
        config = yaml.safe_load(file.read_text(encoding="utf-8"))
        most = config.get("max_workers", 0)
        for node_type in config["available_node_types"].values():
            count = min(most, node_type.get("max_workers", most))
            if count and node_type.get("resources"):
                yield node_of(node_type["resources"], inf, count)


def brought_by_kuberay(groups: Any) -> Iterator[Node]:
    """The same by the groups of nodes that KubeRay has told Ray."""
    for group in groups:
        if group.max_count > 0:
            yield node_of(group.resources, inf, group.max_count)


def node_of(resources: Mapping[str, float], unknown_memory: float = 0, count: int = 1) -> Node:
    """A node by what Ray says of it."""
    memory = resources.get("memory", unknown_memory)
    return Node(resources.get("CPU", 0), resources.get("GPU", 0), memory, count)


def _configs(address: str, processes: Path) -> Iterator[Path]:
    for line in processes.glob("[0-9]*/cmdline"):
        words: list[str] = []
        # The process may have ended, or be another user's.
        with suppress(OSError):
            words = line.read_text(encoding="utf-8", errors="replace").split("\0")
        is_scaler = any(word.endswith(SCALER) for word in words)
        if is_scaler and f"{AT}{address}" in words:
            paths = [word.removeprefix(CONFIG) for word in words if word.startswith(CONFIG)]
            yield from (line.parent / "cwd" / Path(path).expanduser() for path in paths)
