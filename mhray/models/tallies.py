"""What is counted of which head, as the data module tells it of the heads that are predicted."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from mhray.errors import no_such_head
from mhray.models.metric_names import refuse_shared_names
from mhray.models.predicted_heads import PredictedHeads
from mhray.models.tally import Tally


@dataclass(frozen=True)
class Tallies:
    """Makes a run's tallies.

    Attributes:
        predicted: the heads of which loss and accuracy are counted.
        ordinal: those of them of which the mean absolute error is counted.
        skewed: those of which the balanced accuracy is, and their numbers of classes.
        largest_shares: of the train samples, that of each head's commonest class.
    """

    predicted: PredictedHeads
    ordinal: tuple[str, ...] = ()
    skewed: Mapping[str, int] = field(default_factory=dict)
    largest_shares: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, info: Mapping[str, Any], predicted: PredictedHeads) -> "Tallies":
        """The tallies for a data module's information.

        Raises:
            HeadMismatchError: it names a head that the data lack.
            ConfigError: two heads would log a metric of one name.
        """
        heads, names = info["heads_config"], predicted.names
        ordinal, skewed = info.get("ordinal_heads", ()), info.get("skewed_heads", ())
        shares = info.get("largest_shares", {})
        for name in (*ordinal, *skewed, *shares):
            if name not in heads:
                raise no_such_head("get_dataset_info", name, heads)
        refuse_shared_names(heads, skewed)
        return cls(
            predicted,
            ordinal=tuple(name for name in names if name in ordinal),
            skewed={name: heads[name] for name in names if name in skewed},
            largest_shares={name: shares[name] for name in names if name in shares},
        )

    def of_training(self, device: torch.device) -> Tally:
        """An empty tally for the batches of a training epoch."""
        return Tally(
            self.predicted.names,
            device,
            ordinal=self.ordinal,
            skewed=self.skewed,
            trained=self.predicted.trained,
        )

    def of_evaluation(self, device: torch.device) -> Tally:
        """One that also counts what an accuracy is to be held against."""
        return Tally(
            self.predicted.names,
            device,
            ordinal=self.ordinal,
            skewed=self.skewed,
            implied=self.predicted.told_by_others(),
            largest_shares=self.largest_shares,
        )
