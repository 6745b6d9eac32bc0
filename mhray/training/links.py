"""How the workers of one model reach each other: at the addresses that Ray knows their nodes by.

gloo asks what the machine's own name means. On many a machine that is a loopback address, and
workers of two machines then never meet.
"""

import os
from typing import Any

import psutil
import ray
from ray.train._internal.base_worker_group import BaseWorkerGroup
from ray.train.torch import TorchConfig
from ray.train.torch.config import _TorchBackend
from typing_extensions import override

GLOO = "GLOO_SOCKET_IFNAME"


class LinkedTorch(TorchConfig):
    """PyTorch's process group, over the network interfaces that Ray uses."""

    @property
    @override
    def backend_cls(self) -> type["LinkedBackend"]:
        return LinkedBackend


class LinkedBackend(_TorchBackend):
    """Has each worker choose its interface before they are linked."""

    @override
    def on_start(self, worker_group: BaseWorkerGroup, backend_config: Any) -> None:
        worker_group.execute(link_where_ray_does)
        super().on_start(worker_group, backend_config)


def link_where_ray_does() -> None:
    """Have gloo use the interface of this node's address, unless the user has named one."""
    address: str = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
    interface = interface_of(address)
    if interface is not None:
        os.environ.setdefault(GLOO, interface)


def interface_of(address: str) -> str | None:
    """The network interface with an address; None if it is translated on its way here.

    >>> interface_of("203.0.113.7") is None
    True
    """
    of_each = psutil.net_if_addrs().items()
    return next(
        (name for name, known in of_each if address in {one.address for one in known}), None
    )
