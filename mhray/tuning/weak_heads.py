"""Heads that their training did no good: each is no better than what costs nothing."""

from collections.abc import Iterator, Mapping, Sequence

from mhray.heads import Head
from mhray.models.metric_names import chance_metric, implied_metric


def weak_heads(metrics: Mapping[str, float], heads: Sequence[Head]) -> Iterator[str]:
    """What to say of each head whose accuracy on validation is no better than chance or another's.

    >>> metrics = {"val/left_acc": 0.11, "val/left_acc_chance": 0.13}
    >>> list(weak_heads(metrics, [Head("left", 10)]))
    ['head left is at chance: val/left_acc is 0.1100, and naming one class may have 0.1300 by luck']
    """
    for head in heads:
        accuracy, chance = (
            metrics.get(name) for name in (f"val/{head.name}_acc", chance_metric("val", head.name))
        )
        if accuracy is None:
            continue
        if chance is not None and accuracy < chance:
            yield (
                f"head {head.name} is at chance: val/{head.name}_acc is {accuracy:.4f}, and naming "
                f"one class may have {chance:.4f} by luck"
            )
        for other in head.implied_by:
            implied = metrics.get(implied_metric("val", head.name, other))
            if implied is not None and accuracy < implied:
                yield (
                    f"head {head.name} is below what head {other} implies: val/{head.name}_acc "
                    f"is {accuracy:.4f}, and {other}'s predictions imply it with {implied:.4f}"
                )
