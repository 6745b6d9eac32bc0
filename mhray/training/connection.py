"""Ray, connected: the cluster at ``RAY_ADDRESS``, or a Ray of this machine's own."""

import gc
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
import ray

from mhray.errors import StorageError
from mhray.training.sizes import memory_of_this_machine

RAY_ENVIRONMENT = {
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # A teardown past 2 s marks every other trial of a reused actor as failed without running it.
    "TUNE_FUNCTION_THREAD_TIMEOUT_S": "60",
}

# Unix sockets below Ray's directory may have at most 107 characters in all.
TEMP_DIR = "MHRAY_RAY_TEMP_DIR"
ANSWER_SECONDS = 10.0


@contextmanager
def connected(*, needs_dashboard: bool) -> Iterator[None]:
    """Ray, for as long as the context lasts.

    Args:
        needs_dashboard: worker groups need the State API, which the dashboard serves (on the
            loopback), or stopped ones leak their placement groups; it costs memory otherwise.

    Raises:
        StorageError: no Ray answers at ``RAY_ADDRESS``, or none can be started here.
    """
    os.environ.update(RAY_ENVIRONMENT)
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _refuse_silence(address)
    local: dict[str, Any] = {
        "num_cpus": joblib.cpu_count(),
        "_memory": memory_of_this_machine(),
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
        # What Tune leaves lies in cycles; a thread that collects a handle of Ray's after the
        # shutdown ends the process without a word (ray 2.60, core_worker_process.cc).
        gc.collect()
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
