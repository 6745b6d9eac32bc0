"""Source: a data set that mhray can build by itself."""

from abc import ABC, abstractmethod
from pathlib import Path

from mhray.heads import Head


class Source(ABC):
    """What is known of a data set before it is built, and how to build it.

    Attributes:
        name: as typed after ``python -m mhray.data.prepare`` and ``data.source=``.
        heads: those of the built directory.
        image_shape: ``(channels, height, width)``, in pixels.
        train_samples: how many training images are built by default.
        test_samples: how many test images.
    """

    name: str
    heads: tuple[Head, ...]
    image_shape: tuple[int, int, int]
    train_samples: int
    test_samples: int

    @abstractmethod
    def build(self, directory: Path, *, train: int, test: int, seed: int) -> None:
        """Write the data set into ``directory``: the same bytes for the same arguments.

        Raises:
            StorageError: the directory exists, or cannot be written.
        """

    def build_default(self, directory: Path) -> None:
        """Write the data set in its default sizes, with seed 0."""
        self.build(directory, train=self.train_samples, test=self.test_samples, seed=0)
