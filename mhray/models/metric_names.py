"""The names of metrics of heads that more than who logs them reads, and heads whose names clash."""

from collections.abc import Collection, Iterable

from mhray.errors import ConfigError


def chance_metric(split: str, head: str) -> str:
    """The name under which it is logged which accuracy of a head may still be chance."""
    return f"{split}/{head}_acc_chance"


def implied_metric(split: str, head: str, by: str) -> str:
    """The name under which the accuracy of a head is logged if another one told its class.

    >>> implied_metric("val", "coarse", by="fine")
    'val/coarse_acc_implied_by_fine'
    """
    return f"{split}/{head}_acc_implied_by_{by}"


def refuse_shared_names(heads: Collection[str], skewed: Iterable[str]) -> None:
    """Refuse two heads of which one's accuracy has the name of the other's balanced accuracy.

    Raises:
        ConfigError: with both heads.
    """
    for name in skewed:
        if f"{name}_balanced" in heads:
            raise ConfigError(
                f"data: the heads {name} and {name}_balanced would both log {name}_balanced_acc; "
                "rename one of them"
            )
