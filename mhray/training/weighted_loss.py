"""Why a weighted loss judges no run whose weights change while it trains.

A dynamic weighting lowers its loss by changing weights as well as by learning; that of an epoch
compares neither with another epoch's nor with another run's. Accuracies and the heads' own losses
do.
"""

from collections.abc import Sequence

from mhray.models.weighting import Weighting
from mhray.training.changes import Change

_REMEDY = "so that no two epochs compare; write val/acc_mean or val/<head>_loss"


def why_incomparable(
    metric: str, weighting: Weighting, changes: Sequence[Change] = ()
) -> str | None:
    """What is wrong with judging a run of this weighting by a metric, if something is.

    >>> from mhray.models.weighting import DWA, EqualWeighting
    >>> why_incomparable("val/loss", DWA({"left": 10, "right": 10}))  # doctest: +ELLIPSIS
    'val/loss is weighted by DWA, whose weights change in training, so that ...
    >>> why_incomparable("val/loss", EqualWeighting({"left": 10, "right": 10}))
    """
    if metric != "val/loss":
        return None
    if not weighting.is_constant:
        name = type(weighting).__name__
        return f"{metric} is weighted by {name}, whose weights change in training, {_REMEDY}"
    if any(change.loss_weights for change in changes):
        return f"{metric} is weighted by loss weights that changes sets anew, {_REMEDY}"
    return None
