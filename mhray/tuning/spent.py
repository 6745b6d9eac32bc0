"""What the sweeps of a study have spent of its hours, over all starts."""

import time
from collections.abc import Callable


class Spent:
    """Wall-clock seconds, and GPU seconds of all trials together.

    Args:
        seconds: of earlier starts.
        gpu_seconds: of earlier starts.
        clock: seconds since any fixed moment.
    """

    def __init__(
        self, seconds: float, gpu_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._since = clock()
        self._before = seconds
        self._gpu_before = gpu_seconds
        self._held = 0.0
        self._held_since = self._since

    @property
    def seconds(self) -> float:
        """Wall-clock seconds, this start included."""
        return self._before + self._clock() - self._since

    @property
    def gpu_seconds(self) -> float:
        """GPU seconds, this start included: a GPU that two trials share counts once."""
        return self._gpu_before + self._held * (self._clock() - self._held_since)

    def hold(self, gpus: float) -> None:
        """From now on trials hold so many GPUs."""
        self._gpu_before, self._held, self._held_since = self.gpu_seconds, gpus, self._clock()
