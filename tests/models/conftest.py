"""Small random data in the form in which the data layer hands it over, and a quiet Trainer."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import lightning
import pytest
import torch
from torch import Tensor

HEADS = {"left": 4, "right": 4, "sum": 7}
Batch = tuple[Tensor, dict[str, Tensor]]


@dataclass
class Batches:
    """Batches of the given sizes, the same ones on every iteration."""

    sizes: list[int]
    heads: dict[str, int]
    shape: tuple[int, int, int]
    seed: int
    batches: list[Batch] = field(init=False)

    def __post_init__(self) -> None:
        draw = torch.Generator().manual_seed(self.seed)
        self.batches = [
            (
                torch.randn(size, *self.shape, generator=draw),
                {
                    name: torch.randint(classes, (size,), generator=draw)
                    for name, classes in self.heads.items()
                },
            )
            for size in self.sizes
        ]

    def __iter__(self) -> Iterator[Batch]:
        return iter(self.batches)

    def __len__(self) -> int:
        return len(self.batches)


class TensorData(lightning.LightningDataModule):
    def __init__(self, heads=None, shape=(3, 16, 16), train=(8, 8, 3), val=(6, 5), **info) -> None:
        super().__init__()
        self.info = info
        self.heads = heads or HEADS
        self.shape = shape
        self.train = Batches(list(train), self.heads, shape, seed=1)
        self.val = Batches(list(val), self.heads, shape, seed=2)

    def get_dataset_info(self):
        return {"heads_config": self.heads, "image_shape": self.shape, **self.info}

    def train_dataloader(self) -> Batches:
        return self.train

    def val_dataloader(self) -> Batches:
        return self.val

    def test_dataloader(self) -> Batches:
        return self.val


@pytest.fixture
def tensor_data():
    return TensorData


@pytest.fixture
def make_trainer(tmp_path):
    def make(**settings) -> lightning.Trainer:
        quiet = {
            "accelerator": "cpu",
            "logger": False,
            "enable_progress_bar": False,
            "enable_model_summary": False,
            "enable_checkpointing": "callbacks" in settings,
            "max_epochs": 1,
            "default_root_dir": tmp_path,
        }
        return lightning.Trainer(**quiet | settings)

    return make


@pytest.fixture(autouse=True)
def _seeded_one_thread():
    torch.manual_seed(0)
    torch.set_num_threads(1)
