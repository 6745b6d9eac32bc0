"""What a model says of images, as a table: the class of each head, its name, its probability.

A column per head is named as the head and holds the class, counted from 0; `<head>_name` has the
name of the class, or its value in the data files; `<head>_probability` is the model's own.
"""

from collections.abc import Mapping, Sequence

import pandas as pd
from torch import Tensor

from mhray.heads import Head

NAME, PROBABILITY = "_name", "_probability"
KINDS = {"": "long", NAME: "string", PROBABILITY: "double"}


def columns_of(head: str) -> tuple[str, ...]:
    """The columns of a head.

    >>> columns_of("left")
    ('left', 'left_name', 'left_probability')
    """
    return tuple(f"{head}{ending}" for ending in KINDS)


def answers(logits: Mapping[str, Tensor], heads: Sequence[Head]) -> pd.DataFrame:
    """One row per image.

    Args:
        logits: of each head `(images, classes)`.
        heads: those of which columns are wanted, in their order.
    """
    columns: dict[str, object] = {}
    for head in heads:
        probabilities, classes = logits[head.name].softmax(dim=1).max(dim=1)
        named = [head.name_of(index) for index in classes.tolist()]
        found = (classes.numpy(), pd.Series(named, dtype="object"), probabilities.double().numpy())
        columns |= dict(zip(columns_of(head.name), found, strict=True))
    return pd.DataFrame(columns)
