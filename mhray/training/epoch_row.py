"""What a run knows after an epoch: what it reports, and what the journal keeps of it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EpochRow:
    """What a run knows after an epoch.

    Attributes:
        epoch: counted from 1.
        metrics: every logged metric, and the network's cost, by name.
        best: the best value of the selected metric so far.
        seconds: wall-clock time of the epoch, validation included.
        time: seconds since 1970 at which the epoch ended.
        images_per_second: trained by all workers together, validation left out. No metric, since
            equal runs have equal metrics.
    """

    epoch: int
    metrics: dict[str, float]
    best: float
    seconds: float
    time: float
    images_per_second: float = 0.0

    @property
    def logged(self) -> dict[str, float]:
        """What loggers and MLflow are told: the metrics, and what the epoch took."""
        pace = {"train/images_per_second": self.images_per_second}
        return {**self.metrics, **pace, "epoch_seconds": self.seconds}
