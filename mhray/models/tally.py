"""What is counted while an epoch runs, and the metrics that come of it.

Everything is summed where the batches are, and read once an epoch: a metric object and a log call
per head and step cost 4.8 milliseconds a step and more (torchmetrics, Lightning 2.6).
Sums over samples, not over batches, so that the last, shorter batch counts for what it holds.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mhray.models.metric_names import chance_metric, implied_metric
from mhray.models.predicted_heads import ImpliedHead

STANDARD_ERRORS = 3  # beyond which an accuracy is no luck: once in 740 times it is
SMALLEST_LOSS = 1e-12  # what a loss counts as at least, where one is divided by another


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one split in one epoch: means over its samples.

    Attributes:
        loss: the weighted loss.
        head_losses: the unweighted loss of each head.
        head_accs: the accuracy of each head, in [0, 1].
        head_maes: of each ordinal head, the mean distance of predicted and true class, in classes.
        head_balanced_accs: of each skewed head, the mean over the classes that occur of their
            recall, in [0, 1] (Brodersen et al. 2010).
        chance_accs: of some heads, the accuracy that naming the commonest class always has, and as
            much more as luck may add.
        implied_accs: of each trained head and a trained head that implies it, what the accuracy
            would be if the other's prediction told the class.
        head_weights: the factor of each head's gradient, the mean over the steps; of training only.
        diverged: the loss that was not finite first (`loss` or `<head>_loss`), if one was not.
    """

    loss: float
    head_losses: dict[str, float]
    head_accs: dict[str, float]
    head_maes: dict[str, float] = field(default_factory=dict)
    head_balanced_accs: dict[str, float] = field(default_factory=dict)
    chance_accs: dict[str, float] = field(default_factory=dict)
    implied_accs: dict[tuple[str, str], float] = field(default_factory=dict)
    head_weights: dict[str, float] = field(default_factory=dict)
    diverged: str | None = None

    @property
    def acc_mean(self) -> float:
        """The plain mean of the heads' accuracies, in [0, 1]: no loss weight enters."""
        return sum(self.head_accs.values()) / len(self.head_accs)

    @property
    def acc_spread(self) -> float:
        """The accuracy of the best head minus that of the worst, in [0, 1]."""
        return max(self.head_accs.values()) - min(self.head_accs.values())

    @property
    def loss_ratio(self) -> float | None:
        """The first head's unweighted loss over the second's; None unless there are two heads.

        Finite whenever the losses are, and 1 if both are 0.
        """
        match [max(loss, SMALLEST_LOSS) for loss in self.head_losses.values()]:
            case [first, second]:
                return first / second
        return None

    def named(self, split: str) -> dict[str, float]:
        """By the names under which they are logged.

        >>> metrics = EpochMetrics(1.5, {"left": 0.5, "sum": 1.0}, {"left": 0.75, "sum": 0.25})
        >>> metrics.named("val")  # doctest: +NORMALIZE_WHITESPACE
        {'val/loss': 1.5, 'val/left_loss': 0.5, 'val/sum_loss': 1.0,
         'val/left_acc': 0.75, 'val/sum_acc': 0.25, 'val/acc_mean': 0.5, 'val/acc_spread': 0.5,
         'val/loss_ratio': 0.5}
        """
        ratio = self.loss_ratio
        return {
            f"{split}/loss": self.loss,
            **{f"{split}/{head}_loss": loss for head, loss in self.head_losses.items()},
            **{f"{split}/{head}_acc": acc for head, acc in self.head_accs.items()},
            **{f"{split}/{head}_mae": mae for head, mae in self.head_maes.items()},
            **{
                f"{split}/{head}_balanced_acc": acc for head, acc in self.head_balanced_accs.items()
            },
            **{chance_metric(split, head): acc for head, acc in self.chance_accs.items()},
            **{implied_metric(split, *pair): acc for pair, acc in self.implied_accs.items()},
            **{f"{split}/{head}_weight": weight for head, weight in self.head_weights.items()},
            f"{split}/acc_mean": self.acc_mean,
            f"{split}/acc_spread": self.acc_spread,
            **({f"{split}/loss_ratio": ratio} if ratio is not None else {}),
        }


class Tally:
    """Sums over the samples of the batches seen so far.

    Args:
        heads: all heads, in their order.
        device: where the batches are.
        ordinal: the heads of which the mean absolute error is wanted.
        skewed: the heads of which the balanced accuracy is wanted, and their numbers of classes.
        implied: the heads of which it is wanted how well another head tells them.
        largest_shares: of the samples, that of the commonest class, of the heads of which the
            accuracy of chance is wanted.
        trained: the heads of which the weights are wanted, in their order.
    """

    def __init__(
        self,
        heads: Iterable[str],
        device: torch.device,
        *,
        ordinal: Collection[str] = (),
        skewed: Mapping[str, int] | None = None,
        implied: Mapping[str, ImpliedHead] | None = None,
        largest_shares: Mapping[str, float] | None = None,
        trained: Iterable[str] = (),
    ) -> None:
        self._heads = list(heads)
        # Each head's loss, then the weighted one.
        self._losses = torch.zeros(len(self._heads) + 1, device=device)
        self._finite_batches = torch.zeros_like(self._losses)
        self._correct = torch.zeros(len(self._heads), device=device)
        self._distances = {head: torch.zeros(1, device=device) for head in ordinal}
        # Wrong and right predictions of class 0, then of class 1, and so on.
        self._by_class = {
            head: torch.zeros(2 * classes, device=device)
            for head, classes in (skewed or {}).items()
        }
        self._implied = dict(implied or {})
        self._told = {head: torch.zeros(1, device=device) for head in self._implied}
        self._largest_shares = dict(largest_shares or {})
        self._trained = list(trained)
        self._weights = torch.zeros(len(self._trained), device=device)
        self._samples = 0
        self._steps = 0

    @torch.no_grad()
    def add(
        self,
        loss: Tensor,
        losses: Tensor,
        logits: Mapping[str, Tensor],
        targets: Mapping[str, Tensor],
    ) -> None:
        """Counts one batch.

        Mean losses, () and (heads,); each head's logits (batch, classes) and targets (batch,).
        """
        predicted = {head: logits[head].argmax(1) for head in self._heads}
        right = {head: predicted[head] == targets[head] for head in self._heads}
        samples = len(next(iter(right.values())))
        means = torch.cat([losses, loss.view(1)])
        self._losses.add_(means, alpha=samples)
        self._finite_batches.add_(means < math.inf)
        self._correct.add_(torch.stack(list(right.values())).sum(1))
        for head, distance in self._distances.items():
            distance.add_((predicted[head] - targets[head]).abs().sum())
        for head, counts in self._by_class.items():
            # Not bincount, for whose size a GPU would be waited for.
            counts.index_add_(0, 2 * targets[head].long() + right[head], counts.new_ones(samples))
        for head, implied in self._implied.items():
            told = implied.classes[predicted[implied.by]]
            self._told[head].add_((told == targets[head]).sum())
        self._samples += samples

    def add_weights(self, weights: Tensor) -> None:
        """Counts the weights (trained heads,) of one training step."""
        self._weights.add_(weights)
        self._steps += 1

    def metrics(self, sum_over_ranks: Callable[[Tensor], Tensor]) -> EpochMetrics | None:
        """The means over the samples of all ranks; `None` if there were none."""
        counts = self._losses.new_tensor([self._samples, self._steps])
        further = [*self._distances.values(), *self._told.values(), *self._by_class.values()]
        parts = [counts, self._losses, self._finite_batches, self._correct, self._weights, *further]
        sums = torch.split(sum_over_ranks(torch.cat(parts)).cpu(), [len(part) for part in parts])
        (count, steps), losses, finite_batches, correct, weights, *rest = (
            part.tolist() for part in sums
        )
        distances, rest = rest[: len(self._distances)], rest[len(self._distances) :]
        told, by_class = rest[: len(self._told)], rest[len(self._told) :]
        if not count:
            return None
        *head_losses, loss = (total / count for total in losses)
        return EpochMetrics(
            loss=loss,
            head_losses=dict(zip(self._heads, head_losses, strict=True)),
            head_accs={
                head: right / count for head, right in zip(self._heads, correct, strict=True)
            },
            head_maes={
                head: total / count
                for head, (total,) in zip(self._distances, distances, strict=True)
            },
            head_balanced_accs={
                head: _mean_recall(counts)
                for head, counts in zip(self._by_class, by_class, strict=True)
            },
            chance_accs={
                head: accuracy_by_chance(share, int(count))
                for head, share in self._largest_shares.items()
            },
            implied_accs={
                (head, implied.by): right / count
                for (head, implied), (right,) in zip(self._implied.items(), told, strict=True)
            },
            head_weights={
                head: total / steps for head, total in zip(self._trained, weights, strict=True)
            },
            diverged=None if all(map(math.isfinite, losses)) else self._first(finite_batches),
        )

    def _first(self, finite_batches: list[float]) -> str:
        """The loss that was finite for the fewest batches; a head rather than the sum of all."""
        names = [*(f"{head}_loss" for head in self._heads), "loss"]
        return names[finite_batches.index(min(finite_batches))]


def accuracy_by_chance(share: float, samples: int) -> float:
    """The accuracy that naming one class always may reach, in [0, 1], if it has this share.

    Its share of the samples and three standard errors of the binomial distribution.

    >>> round(accuracy_by_chance(0.1, 900), 6)
    0.13
    """
    return min(1.0, share + STANDARD_ERRORS * math.sqrt(share * (1 - share) / samples))


def _mean_recall(counts: list[float]) -> float:
    """The mean recall of the classes that occur, from wrong and right predictions of each.

    >>> _mean_recall([1, 3, 0, 0, 1, 1])
    0.625
    """
    pairs = zip(counts[::2], counts[1::2], strict=True)
    recalls = [right / (wrong + right) for wrong, right in pairs if wrong + right]
    return math.fsum(recalls) / len(recalls)
