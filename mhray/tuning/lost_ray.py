"""Ends a sweep whose Ray is gone.

When the processes die that start trials (out of memory, ended by hand), Tune goes on waiting for
places that nobody will ever give. What can be done is to start the command again, so it ends.
"""

import time
from typing import Any

import ray
from ray.tune import Callback
from ray.tune.experiment import Trial
from typing_extensions import override

from mhray.errors import RayLostError
from mhray.tuning.guard import Guard

LOOK_SECONDS = 5.0


class EndWithoutRay(Callback):
    """Trips the guard when Ray has no node left."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._looked = time.monotonic()

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        if time.monotonic() < self._looked + LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        with self._guard:
            if not any(node["Alive"] for node in ray.nodes()):  # type: ignore[no-untyped-call]
                raise RayLostError("Ray's processes, which start trials, are gone")

    def __getstate__(self) -> dict[str, Any]:
        return {}
