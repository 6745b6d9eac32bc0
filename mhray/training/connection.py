"""Ray, connected: the cluster at ``RAY_ADDRESS``, or a Ray of this machine's own.

Whoever reaches a port of Ray's can run any code. So a Ray that is started here listens on the
loopback alone and asks for a token, which only this user can read.
"""

import gc
import logging
import os
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import joblib
import ray
from ray._private import ray_constants

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

# Ray 2.60 takes the loopback for a node's address where clusters are switched off, as on a Mac. An
# address of 127.0.0.1 that it is given it replaces by a reachable one.
CLUSTERS = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
TOKEN, TOKEN_PATH, AUTHENTICATION = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"
MODE = 0o600  # of the token's file

# Unix sockets below Ray's directory may have at most 107 characters in all.
TEMP_DIR = "MHRAY_RAY_TEMP_DIR"
ANSWER_SECONDS = 10.0


@contextmanager
def connected(*, needs_dashboard: bool, is_open: bool = False) -> Iterator[None]:
    """Ray, for as long as the context lasts.

    Args:
        needs_dashboard: worker groups need the State API, which the dashboard serves (on the
            loopback), or stopped ones leak their placement groups; it costs memory otherwise.
        is_open: a Ray that is started here listens on the network too.

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
        if not address:
            _leave_a_private_token()
            _listen(on_network=is_open)
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


def _listen(*, on_network: bool) -> None:
    """Where a Ray that is started next listens; this process and those that it starts read it."""
    os.environ[CLUSTERS] = str(int(on_network))
    ray_constants.ENABLE_RAY_CLUSTER = on_network


def _leave_a_private_token() -> None:
    """Have a token that only this user can read: Ray's own would be as readable as any new file."""
    # Unset, it is on in Ray 2.60; set, Ray would not tell the part of it that is loaded already.
    os.environ.pop(AUTHENTICATION, None)
    if TOKEN in os.environ or TOKEN_PATH in os.environ:
        return
    path = Path.home() / ".ray" / "auth_token"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(32))
        # A home that is read-only refuses even to be told what it is already.
        if stat.S_IMODE(path.stat().st_mode) != MODE:
            path.chmod(MODE)
    except OSError as error:
        raise StorageError(
            f"ray: {path}, which keeps its token, cannot be written "
            f"({os.strerror(error.errno or 0)}); write 64 hexadecimal digits into a file that only "
            f"you can read, and {TOKEN_PATH}=THAT_FILE in front of the command"
        ) from None


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
