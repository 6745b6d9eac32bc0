"""Refuses an epoch whose validation loss is no number.

A network may diverge in evaluation alone, as where a BatchNorm's running statistics overflow. No
epoch or trial can be ranked by what is not a number, and Optuna takes none as a result.
"""

import math
from collections.abc import Mapping

from mhray.errors import DivergedError


def refuse_divergence(metrics: Mapping[str, float], epoch: int) -> None:
    """Refuse losses that are NaN or infinite; a head's is named rather than the sum of all.

    Raises:
        DivergedError: with the loss and the epoch.

    >>> refuse_divergence({"val/loss": 1.0, "val/left_loss": 1.0}, 3)
    >>> refuse_divergence({"val/loss": float("nan"), "val/left_loss": float("inf")}, 3)
    Traceback (most recent call last):
    mhray.errors.DivergedError: val/left_loss: inf in epoch 3, but train's losses are finite; ...
    """
    losses = [name for name in metrics if name.endswith("loss")]
    wrong = [name for name in losses if not math.isfinite(metrics[name])]
    if wrong:
        name = min(wrong, key=lambda each: each.endswith("/loss"))
        raise DivergedError(
            f"{name}: {metrics[name]} in epoch {epoch}, but train's losses are finite; write "
            "a smaller model.optimizer.lr, or trainer.gradient_clip_val=1.0"
        )
