"""Heads: what a data set asks a model to predict.

The only thing that data and models know of each other. No torch here: workers, the command line
and the study check read heads without importing it.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

CATEGORICAL = "categorical"


@dataclass(frozen=True)
class Implication:
    """How a head's class follows from another head's: from a fine class, say, the coarse one.

    Attributes:
        by: the other head.
        classes: for each class of the other head, this head's; None where no sample tells.
    """

    by: str
    classes: tuple[int | None, ...]


@dataclass(frozen=True)
class Head:
    """One named prediction: a class in ``[0, num_classes)`` for each image.

    Attributes:
        name: matches ``[A-Za-z0-9_-]+``, since it becomes an override path and a metric name.
        num_classes: number of classes.
        smallest_value: the value in the data files that is class 0.
        class_names: one name per class, or empty.
        scale: what the header says of the values; anything but ``categorical`` orders them.
        is_skewed: some classes are much rarer than others. Like all that follows it is known of
            the samples and no part of what the head is: heads that differ in it alone are equal.
        largest_share: of the samples, that of the commonest class; 0 where it is not known.
        implied_by: the heads from whose class this one's follows.
    """

    name: str
    num_classes: int
    smallest_value: int = 0
    class_names: tuple[str, ...] = ()
    scale: str = CATEGORICAL
    is_skewed: bool = field(default=False, compare=False, repr=False)
    largest_share: float = field(default=0.0, compare=False, repr=False)
    implied_by: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_ordinal(self) -> bool:
        """Whether a prediction can be near its target, and not only right or wrong."""
        return self.scale != CATEGORICAL

    def name_of(self, class_index: int) -> str:
        """The name of a class: its own, or else its value in the data files.

        >>> Head("note", 88, smallest_value=21).name_of(0)
        '21'
        """
        if self.class_names:
            return self.class_names[class_index]
        return str(class_index + self.smallest_value)


def heads_config(heads: Iterable[Head]) -> dict[str, int]:
    """The number of classes of each head, by name: what a network is built from.

    >>> heads_config([Head("left", 10), Head("sum", 19)])
    {'left': 10, 'sum': 19}
    """
    return {head.name: head.num_classes for head in heads}
