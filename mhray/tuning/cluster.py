"""The machines a sweep runs on: a cluster that is there, or a Ray of this machine's own."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib
import ray
import torch

from mhray.errors import StorageError
from mhray.training.workers import RAY_ENVIRONMENT
from mhray.tuning.study import Resources

# Unix sockets below Ray's directory may have at most 107 characters in all.
TEMP_DIR = "MHRAY_RAY_TEMP_DIR"
ANSWER_SECONDS = 10.0


@dataclass(frozen=True)
class Capacity:
    """What can be shared out.

    Attributes:
        cpus: cores.
        gpus: GPUs.
        place: whose they are, for messages.
    """

    cpus: float
    gpus: float
    place: str


def capacity() -> Capacity:
    """What this machine has, or the cluster at ``RAY_ADDRESS`` if that is set.

    Raises:
        StorageError: no Ray answers at ``RAY_ADDRESS``.
    """
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        cores = joblib.cpu_count()
        return Capacity(cores, torch.cuda.device_count(), "this machine")
    with connected(needs_dashboard=False):
        total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return Capacity(total.get("CPU", 0), total.get("GPU", 0), f"the cluster at {address}")


@contextmanager
def connected(*, needs_dashboard: bool) -> Iterator[None]:
    """Ray, for as long as the context lasts.

    Args:
        needs_dashboard: worker groups need the State API, which the dashboard serves (on the
            loopback); without worker groups it only costs memory.

    Raises:
        StorageError: no Ray answers at ``RAY_ADDRESS``, or none can be started here.
    """
    os.environ.update(RAY_ENVIRONMENT)
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _refuse_silence(address)
    local: dict[str, Any] = {
        "num_cpus": joblib.cpu_count(),
        "include_dashboard": needs_dashboard,
        "dashboard_host": "127.0.0.1",
        "_temp_dir": os.environ.get(TEMP_DIR),
    }
    try:
        ray.init(
            address=address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            configure_logging=False,
            runtime_env={"env_vars": RAY_ENVIRONMENT},
            **({} if address else local),
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreachable(address, str(error).splitlines()[0]) from None
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_silence(address: str) -> None:
    """Ray itself waits minutes for an address at which nobody listens."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str | None, reason: str) -> StorageError:
    where = f"RAY_ADDRESS={address}" if address else "ray"
    remedy = "start it, or unset RAY_ADDRESS to use this machine" if address else "try again"
    return StorageError(f"{where}: no Ray can be reached ({reason}); {remedy}")


def parallel_trials(resources: Resources, available: Capacity) -> int:
    """How many trials run at a time: as asked, or as many as cores and GPUs allow.

    >>> parallel_trials(Resources(), Capacity(2, 0, "this machine"))
    2
    """
    if resources.parallel_trials != "auto":
        return resources.parallel_trials
    worker = resources.per_worker
    fit = available.cpus // (worker.cpus * resources.workers_per_trial)
    if worker.gpus > 0:
        fit = min(fit, available.gpus // (worker.gpus * resources.workers_per_trial))
    return max(1, int(fit))
