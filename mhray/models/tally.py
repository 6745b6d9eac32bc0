"""What is counted while an epoch runs, and the metrics that come of it.

Everything is summed where the batches are, and read once an epoch: a metric object and a log call
per head and step cost 4.8 milliseconds a step and more (torchmetrics, Lightning 2.6).
Sums over samples, not over batches, so that the last, shorter batch counts for what it holds.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one split in one epoch: means over its samples.

    Attributes:
        loss: the weighted loss.
        head_losses: the unweighted loss of each head.
        head_accs: the accuracy of each head, in [0, 1].
        diverged: the loss that was not finite first (`loss` or `<head>_loss`), if one was not.
    """

    loss: float
    head_losses: dict[str, float]
    head_accs: dict[str, float]
    diverged: str | None = None

    @property
    def acc_mean(self) -> float:
        """The plain mean of the heads' accuracies, in [0, 1]: no loss weight enters."""
        return sum(self.head_accs.values()) / len(self.head_accs)

    @property
    def acc_spread(self) -> float:
        """The accuracy of the best head minus that of the worst, in [0, 1]."""
        return max(self.head_accs.values()) - min(self.head_accs.values())

    def named(self, split: str) -> dict[str, float]:
        """By the names under which they are logged.

        >>> metrics = EpochMetrics(1.5, {"left": 0.5, "sum": 1.0}, {"left": 0.75, "sum": 0.25})
        >>> metrics.named("val")  # doctest: +NORMALIZE_WHITESPACE
        {'val/loss': 1.5, 'val/left_loss': 0.5, 'val/sum_loss': 1.0,
         'val/left_acc': 0.75, 'val/sum_acc': 0.25, 'val/acc_mean': 0.5, 'val/acc_spread': 0.5}
        """
        return {
            f"{split}/loss": self.loss,
            **{f"{split}/{head}_loss": loss for head, loss in self.head_losses.items()},
            **{f"{split}/{head}_acc": acc for head, acc in self.head_accs.items()},
            f"{split}/acc_mean": self.acc_mean,
            f"{split}/acc_spread": self.acc_spread,
        }


class Tally:
    """Sums over the samples of the batches seen so far."""

    def __init__(self, heads: Iterable[str], device: torch.device) -> None:
        self._heads = list(heads)
        # Each head's loss, then the weighted one.
        self._losses = torch.zeros(len(self._heads) + 1, device=device)
        self._finite_batches = torch.zeros_like(self._losses)
        self._correct = torch.zeros(len(self._heads), device=device)
        self._samples = 0

    @torch.no_grad()
    def add(self, loss: Tensor, losses: Tensor, correct: Tensor, samples: int) -> None:
        """Counts one batch: its mean losses, () and (heads,), and right predictions (heads,)."""
        means = torch.cat([losses, loss.view(1)])
        self._losses.add_(means, alpha=samples)
        self._finite_batches.add_(means < math.inf)
        self._correct.add_(correct)
        self._samples += samples

    def metrics(self, sum_over_ranks: Callable[[Tensor], Tensor]) -> EpochMetrics | None:
        """The means over the samples of all ranks; `None` if there were none."""
        samples = self._losses.new_tensor([self._samples])
        parts = torch.cat([samples, self._losses, self._finite_batches, self._correct])
        count, *sums = sum_over_ranks(parts).tolist()
        heads = len(self._heads)
        losses, finite_batches, correct = sums[: heads + 1], sums[heads + 1 : -heads], sums[-heads:]
        if not count:
            return None
        *head_losses, loss = (total / count for total in losses)
        return EpochMetrics(
            loss=loss,
            head_losses=dict(zip(self._heads, head_losses, strict=True)),
            head_accs={
                head: right / count for head, right in zip(self._heads, correct, strict=True)
            },
            diverged=None if all(map(math.isfinite, losses)) else self._first(finite_batches),
        )

    def _first(self, finite_batches: list[float]) -> str:
        """The loss that was finite for the fewest batches; a head rather than the sum of all."""
        names = [*(f"{head}_loss" for head in self._heads), "loss"]
        return names[finite_batches.index(min(finite_batches))]
