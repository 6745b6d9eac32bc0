import numpy as np
import pytest

from mhray.data.dataset import CIFAR100MHDataset
from mhray.data.dataset_contract import MultiheadDatasetContract
from mhray.data.header import Header, Parameter
from mhray.data.records import Split
from mhray.data.writing import write_dataset


def write(directory, channels, layout, raw):
    draw = np.random.default_rng(channels)
    images = draw.integers(256, size=(7, channels, 5, 4), dtype=np.uint8)
    values = draw.integers((40, 0), (44, 256), (7, 2)).astype(np.uint8)
    ranges = Parameter("note", 40, 43), Parameter("velocity", 0, 255)
    header = Header("any", 5, 4, channels, ("note", "velocity"), ranges, layout)
    write_dataset(directory, header, Split(images, (0, 1), values), raw=raw)


@pytest.mark.parametrize("channels", [1, 3, 4, 5], scope="class")
@pytest.mark.parametrize("layout", ["CHW", "HWC"], scope="class")
@pytest.mark.parametrize("raw", [False, True], ids=["pickle", "raw"], scope="class")
class TestCIFAR100MHDataset(MultiheadDatasetContract):
    """The data set of the format keeps the contract in both forms, both layouts, any channels."""

    @pytest.fixture(autouse=True)
    def _directory(self, tmp_path, channels, layout, raw):
        self.directory = tmp_path / "data"
        write(self.directory, channels, layout, raw)

    def make(self, **transforms):
        return CIFAR100MHDataset(self.directory, **transforms)
