"""Which heads are trained, and which of the others are predicted all the same.

`model.train_heads` names the heads whose losses train the network: one alone is the baseline of
every claim about several. The network keeps the layers of all heads, so that one seed gives the
same parameters and one parameter budget the same widths, whatever is trained. Those of a head that
is left out are neither trained nor read; it is predicted if a trained head implies it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.errors import ConfigError, no_such_head
from mhray.heads import Head, Implication
from mhray.models.classifiers import ModulePerHead

# Of each head that other heads imply, how.
ImpliedHeads: TypeAlias = Mapping[str, Iterable[Implication]]

WHERE = "model.train_heads"


def trained_heads(train_heads: Any, heads: Collection[str]) -> tuple[str, ...]:
    """The heads that `model.train_heads` names, in the order of the data; all of them if `None`.

    A single name stands for a list of one: the values of a study are single.

    >>> trained_heads(["sum", "left"], ["left", "right", "sum"])
    ('left', 'sum')
    >>> trained_heads("sum", ["left", "right", "sum"])
    ('sum',)

    Raises:
        HeadMismatchError: a name is no head's.
        ConfigError: it names none, or one twice, or is no list of names.
    """
    match train_heads:
        case None:
            return tuple(heads)
        case str() | int():
            named = [str(train_heads)]
        case [*names]:
            named = [str(name) for name in names]
        case _:
            raise ConfigError(f"{WHERE}: should be a list of heads, found {train_heads!r}")
    if not named:
        raise ConfigError(
            f"{WHERE}: names no head, so nothing would be learned; write null for all of them, or "
            f"one of the heads: {', '.join(heads)}"
        )
    for index, name in enumerate(named):
        if name not in heads:
            raise no_such_head(WHERE, name, heads)
        if name in named[:index]:
            raise ConfigError(f"{WHERE}: names {name} twice; keep one of the two")
    return tuple(name for name in heads if name in named)


def predicted_heads(heads: Sequence[Head], train_heads: Any) -> tuple[Head, ...]:
    """The heads that are trained, and those that a trained one implies, in the order of the data.

    Raises:
        ConfigError: as `trained_heads` does.
    """
    trained = trained_heads(train_heads, [head.name for head in heads])
    return tuple(
        head
        for head in heads
        if head.name in trained or not set(trained).isdisjoint(head.implied_by)
    )


def refuse_other_heads(
    heads: Collection[str],
    trained: Collection[str],
    loss_weights: Iterable[Any],
    primary_head: str | None,
) -> None:
    """Refuses a primary head that the data lack, and a loss weight of a head that is not trained.

    Raises:
        HeadMismatchError: there is no such head.
        ConfigError: it is left out.
    """
    if primary_head is not None and primary_head not in heads:
        raise no_such_head("model.primary_head", primary_head, heads)
    for name in map(str, loss_weights):
        where = f"model.loss_weights.{name}"
        if name not in heads:
            raise no_such_head(where, name, heads)
        if name not in trained:
            raise ConfigError(
                f"{where}: {WHERE} leaves the head out, so its loss weighs nothing; take the loss "
                f"weight out, or add {name} to {WHERE}"
            )


def refuse_unpredicted(primary_head: str | None, predicted: Collection[str]) -> None:
    """Raises ConfigError if the head whose accuracy is followed is not predicted."""
    if primary_head is not None and primary_head not in predicted:
        raise ConfigError(
            f"model.primary_head: {WHERE} leaves {primary_head} out, and no trained head implies "
            f"it; write one of the heads: {', '.join(predicted)}"
        )


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
