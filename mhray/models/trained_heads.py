"""Which heads are trained, and which of the others are predicted all the same.

`model.train_heads` names the heads whose losses train the network: one alone is the baseline of
every claim about several. A head that is left out is predicted if a trained head implies it. Names
alone, without PyTorch: who reads a journal asks them too.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from mhray.errors import ConfigError, no_such_head
from mhray.heads import Head

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
