"""The logits of the heads that are predicted: trained ones, and those that a trained one implies.

The network keeps the layers of all heads, so that one seed gives the same parameters and one
parameter budget the same widths, whatever is trained. Those of a head that is left out are neither
trained nor read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.heads import Implication
from mhray.models.classifiers import ModulePerHead
from mhray.models.trained_heads import trained_heads

# Of each head that other heads imply, how.
ImpliedHeads: TypeAlias = Mapping[str, Iterable[Implication]]


class ImpliedHead(nn.Module):
    """What the logits of all heads say of one that another implies: logits (batch, classes).

    The logarithm of the other head's probabilities, summed over the classes that imply each class.
    What it gives to classes of which no sample told anything is left out. Where nothing implies a
    class, its probability counts as the smallest of a float, so that losses stay finite (below 88).
    No gradient passes.

    Attributes:
        by: the other head.
        classes: for each of its classes this head's, or the number of classes where nothing tells.
    """

    classes: Tensor

    def __init__(self, implication: Implication, num_classes: int) -> None:
        super().__init__()
        self.by = implication.by
        self.num_classes = num_classes
        told = [num_classes if known is None else known for known in implication.classes]
        self.register_buffer("classes", torch.tensor(told), persistent=False)

    @override
    def forward(self, logits: Mapping[str, Tensor]) -> Tensor:
        probabilities = logits[self.by].detach().float().softmax(1)
        # One column more, for what implies nothing.
        sums = probabilities.new_zeros(len(probabilities), self.num_classes + 1)
        sums.index_add_(1, self.classes, probabilities)
        return sums[:, :-1].clamp_min(torch.finfo(sums.dtype).tiny).log()


class PredictedHeads(nn.Module):
    """Takes the network's logits of all heads to those of every head that is predicted.

    Attributes:
        names: of the predicted heads, in the order of the data.
        trained: those of them whose losses train the network, and their numbers of classes.
        implied: what a trained head says of each head that it implies, itself trained or not.
    """

    _rows: Tensor

    def __init__(
        self,
        heads_config: Mapping[str, int],
        train_heads: Sequence[str] | str | None,
        implied_heads: ImpliedHeads,
    ) -> None:
        super().__init__()
        names = trained_heads(train_heads, heads_config)
        self.trained = {name: heads_config[name] for name in names}
        self.implied = ModulePerHead()
        for name, implied_by in implied_heads.items():
            # By the first one that is trained, in the order of the data.
            for implication in [known for known in implied_by if known.by in self.trained][:1]:
                self.implied[name] = ImpliedHead(implication, heads_config[name])
        predicted = {*self.trained, *self.implied}
        self.names = tuple(name for name in heads_config if name in predicted)
        rows = [self.names.index(name) for name in self.trained]
        self.register_buffer("_rows", torch.tensor(rows), persistent=False)
        self._trains_all = len(self.trained) == len(heads_config)

    @override
    def forward(self, logits: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self._trains_all:
            return logits
        return {
            name: logits[name] if name in self.trained else self._implied(name)(logits)
            for name in self.names
        }

    def losses_to_train_on(self, losses: Tensor) -> Tensor:
        """Of the losses of `names`, those of the trained heads."""
        return losses if self._trains_all else losses[self._rows]

    def told_by_others(self) -> dict[str, ImpliedHead]:
        """What is in `implied` of the heads that are themselves trained."""
        return {name: self._implied(name) for name in self.implied if name in self.trained}

    def _implied(self, name: str) -> ImpliedHead:
        implied: ImpliedHead = self.implied[name]  # type: ignore[assignment]
        return implied
