"""By which metric runs are judged, and which there are: without PyTorch, as journals are read."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from mhray.errors import ConfigError, did_you_mean
from mhray.heads import Head
from mhray.models.trained_heads import predicted_heads, trained_heads

# Over other heads they are other measures. So is val/loss, which no study with such trials takes.
OVER_HEADS = ("val/acc_mean", "val/acc_best", "val/acc_spread")


@dataclass(frozen=True)
class Selection:
    """Which metric judges a run, and which way is better."""

    metric: str
    mode: str

    @classmethod
    def of(cls, config: DictConfig) -> "Selection":
        """The selection of a run's config.

        Raises:
            ConfigError: ``select.mode`` is neither max nor min.
        """
        if config.select.mode not in {"max", "min"}:
            raise ConfigError(f"select.mode: {config.select.mode!r} is no mode; write max or min")
        return cls(config.select.metric, config.select.mode)

    def check(self, heads: Sequence[Head], train_heads: Any = None) -> None:
        """Refuse a metric that a run with these heads does not log on the validation split.

        Args:
            heads: of the data.
            train_heads: ``model.train_heads``.

        Raises:
            ConfigError: with the metric that was probably meant, and all metrics; or with the heads
                that are not predicted; or the mode keeps the worst epoch.
        """
        if problem := why_no_judge(self.metric, heads, train_heads):
            raise ConfigError(f"select.metric: {problem}")
        if (mode := sensible_mode(self.metric)) and mode != self.mode:
            better = {"max": "higher", "min": "lower"}[mode]
            raise ConfigError(
                f"select.mode: {self.metric} is better the {better} it is; write select.mode={mode}"
            )

    def prefers(self, value: float, other: float) -> bool:
        """Whether ``value`` is better than ``other``."""
        return value > other if self.mode == "max" else value < other


def why_no_judge(
    metric: str, heads: Sequence[Head], train_heads: Any = None, *, compares: bool = False
) -> str | None:
    """What is wrong with judging runs of these heads by a metric, if something is.

    Args:
        metric: its name.
        heads: of the data.
        train_heads: ``model.train_heads``.
        compares: whether the runs are compared with others, which may predict more heads.
    """
    trained = trained_heads(train_heads, [head.name for head in heads])
    predicted = predicted_heads(heads, train_heads)
    left_out = [head.name for head in heads if head not in predicted]
    unlike = OVER_HEADS if left_out and compares else ()
    known = [name for name in validation_metrics(predicted) if name not in unlike]
    if metric in known:
        return None
    if metric in validation_metrics(heads):
        return (
            f"{metric} cannot judge runs, since model.train_heads leaves {' and '.join(left_out)} "
            f"without a prediction; write val/{trained[0]}_acc"
        )
    return f"no run logs {metric}; {did_you_mean(metric, known)}"


def validation_metrics(heads: Iterable[Head]) -> tuple[str, ...]:
    """The names of all metrics that a run which predicts these heads may be judged by.

    >>> validation_metrics([Head("velocity", 8, scale="log")])[:4]
    ('val/acc_mean', 'val/velocity_acc', 'val/velocity_loss', 'val/velocity_mae')
    """
    known = list(heads)
    per_head = [f"val/{head.name}_{kind}" for head in known for kind in _kinds(head)]
    of_a_pair = ["val/loss_ratio"] if len(known) == 2 else []  # noqa: PLR2004
    return ("val/acc_mean", *per_head, "val/acc_best", "val/acc_spread", "val/loss", *of_a_pair)


def sensible_mode(metric: str) -> str | None:
    """The only sensible mode of a metric, if there is one.

    >>> sensible_mode("val/acc_mean"), sensible_mode("val/sum_mae"), sensible_mode("val/acc_spread")
    ('max', 'min', None)
    """
    if metric.endswith(("/loss", "_loss", "_mae")):
        return "min"
    return "max" if metric.endswith(("/acc_mean", "/acc_best", "_acc")) else None


def shown_metrics(
    heads: Iterable[Head], judges: Iterable[str], *, has_mean: bool = True
) -> dict[str, str]:
    """What a person is shown of an epoch: metrics without their split, and a word for each.

    The accuracy of each head and, if it is of all heads, their mean; then what else trials are
    judged by.

    >>> shown_metrics([Head("left", 10)], ["val/left_acc", "val/left_mae"])
    {'left_acc': 'left', 'acc_mean': 'mean', 'left_mae': 'left_mae'}
    """
    accuracies = {f"{head.name}_acc": head.name for head in heads}
    accuracies |= {"acc_mean": "mean"} if has_mean else {}
    judging = [metric.partition("/")[2] for metric in judges]
    return accuracies | {name: name for name in judging if name not in accuracies}


def _kinds(head: Head) -> Iterator[str]:
    """What is logged of a head."""
    yield from ("acc", "loss")
    if head.is_ordinal:
        yield "mae"
    if head.is_skewed:
        yield "balanced_acc"
