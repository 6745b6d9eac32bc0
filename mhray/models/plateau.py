"""A LightningModule that steps a plateau scheduler in time."""

from typing import Any

from torch.optim.lr_scheduler import ReduceLROnPlateau
from typing_extensions import override

from mhray.models.lean_module import LeanModule


class PlateauInTime(LeanModule):
    """Steps a plateau scheduler before the epoch's checkpoint is written.

    Lightning does it afterwards (2.6), so that a run resumed at the end of an epoch lacks a step.
    """

    @override
    def lr_scheduler_step(self, scheduler: Any, metric: Any) -> None:
        if not isinstance(scheduler, ReduceLROnPlateau):
            super().lr_scheduler_step(scheduler, metric)

    def step_plateau(self, metric: str) -> None:
        """What a metric that this epoch logged does to the rate, if a plateau decides."""
        scheduler = self.lr_schedulers()
        if isinstance(scheduler, ReduceLROnPlateau):
            scheduler.step(self.trainer.callback_metrics[metric])
