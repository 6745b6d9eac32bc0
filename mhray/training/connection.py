"""Ray, connected: one that runs already, or one that is started here and ends with the command.

Whoever reaches a port of Ray's can run any code. So a Ray that is started here listens on the
loopback alone and asks for a token, which only this user can read.
"""

import gc
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import joblib
import ray
from ray._private import ray_constants

from mhray.errors import StorageError
from mhray.training.ray_address import RunningRay
from mhray.training.ray_token import bring_a_token, leave_a_private_token
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

# Unix sockets below Ray's directory may have at most 107 characters in all.
TEMP_DIR = "MHRAY_RAY_TEMP_DIR"
JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"


@contextmanager
def connected(
    ray_there: RunningRay | None,
    *,
    needs_dashboard: bool,
    is_open: bool = False,
    code: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[None]:
    """Ray, for as long as the context lasts.

    Args:
        ray_there: from :func:`mhray.training.ray_address.find_ray`; None starts one.
        needs_dashboard: worker groups need the State API, which the dashboard serves (on the
            loopback), or stopped ones leak their placement groups; it costs memory otherwise.
        is_open: a Ray that is started here listens on the network too.
        code: what the processes of a cluster get of the project, as keys of a ``runtime_env``.

    Raises:
        StorageError: the Ray that should be there does not answer, or none can be started here.
    """
    os.environ.update(RAY_ENVIRONMENT)
    try:
        if ray_there:
            ray_there.refuse_silence()
            bring_a_token(ray_there)
            _init(ray_there.address, code)
        else:
            leave_a_private_token()
            _listen(on_network=is_open)
            _init("local", {}, **_own(needs_dashboard=needs_dashboard))
    except (OSError, ValueError, RuntimeError) as error:
        raise _unreachable(ray_there, str(error).splitlines()[0]) from None
    try:
        yield
    finally:
        # What Tune leaves lies in cycles; a thread that collects a handle of Ray's after the
        # shutdown ends the process without a word (ray 2.60, core_worker_process.cc).
        gc.collect()
        ray.shutdown()


def job_environment() -> dict[str, Any]:
    """The ``runtime_env`` of the Ray job as which this command was submitted; empty if it was not.

    Ray refuses to be told again what the job has said.
    """
    told: dict[str, Any] = json.loads(os.environ.get(JOB, "{}"))
    return told.get("runtime_env") or {}


def _init(address: str, code: Mapping[str, Any], **own: Any) -> None:
    job = job_environment()
    variables = {
        name: value
        for name, value in RAY_ENVIRONMENT.items()
        if name not in job.get("env_vars", {})
    }
    ray.init(
        address=address,
        log_to_driver=False,
        logging_level=logging.ERROR,
        configure_logging=False,
        runtime_env={"env_vars": variables, **code},
        **own,
    )


def _own(*, needs_dashboard: bool) -> dict[str, Any]:
    return {
        "num_cpus": joblib.cpu_count(),
        "_memory": memory_of_this_machine(),
        "include_dashboard": needs_dashboard,
        "dashboard_host": "127.0.0.1",
        "_temp_dir": os.environ.get(TEMP_DIR),
    }


def _listen(*, on_network: bool) -> None:
    """Where a Ray that is started next listens; this process and those that it starts read it."""
    os.environ[CLUSTERS] = str(int(on_network))
    ray_constants.ENABLE_RAY_CLUSTER = on_network


def _unreachable(ray_there: RunningRay | None, reason: str) -> StorageError:
    if ray_there:
        return ray_there.unreachable(reason)
    return StorageError(f"ray: no Ray can be reached ({reason}); try again")
