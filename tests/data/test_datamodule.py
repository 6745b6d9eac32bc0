import inspect
import json
import logging
import pickle
import re
import subprocess
import sys
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torchvision.transforms import Compose, Normalize, RandomHorizontalFlip, ToTensor

from mhray.data.batches import open_split
from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.loader import BatchLoader, KeptBatches
from mhray.data.sources import describe_data
from mhray.data.writing import write_dataset
from mhray.errors import ConfigError, DataFormatError, DataNotFoundError

PLAIN = Compose([ToTensor(), Normalize((0.5,) * 3, (0.5,) * 3)])


@pytest.fixture
def data(notes):
    def make(**settings):
        return CIFAR100MHDataModule(notes, **{"batch_size": 8, "val_fraction": 0.2} | settings)

    return make


def numbers(batches):
    return [int(n) for _, targets in batches for n in targets["velocity"]]


def test_splits_are_disjoint_and_normalised_by_the_train_part(data):
    module = data()
    module.setup()
    images = torch.cat([images for images, _ in module.train_dataloader()])
    torch.testing.assert_close(images.mean(dim=(0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(images.std(dim=(0, 2, 3)), torch.ones(3), atol=1e-3, rtol=0)
    loaders = module.train_dataloader(), module.val_dataloader(), module.test_dataloader()
    seen = [[image.numpy().tobytes() for images, _ in it for image in images] for it in loaders]
    assert list(map(len, seen)) == [40, 10, 20]
    assert len(set().union(*seen)) == 70


def test_the_data_say_what_a_model_needs(data):
    module = data()
    assert module.num_classes == {"note": 4, "velocity": 10}
    assert module.class_names["note"] == ("E", "F", "F#", "G")
    assert module.class_names["velocity"][9] == "9"
    info = module.get_dataset_info()
    assert (info["image_shape"], info["heads_config"]) == ((3, 8, 6), module.num_classes)
    counts = [info[f"num_{split}_samples"] for split in ("train", "val", "test")]
    assert (counts, info["batch_size"], info["dataset_name"]) == ([40, 10, 20], 8, "notes")
    assert info["channel_mean"] == module.channel_mean


def test_a_missing_test_batch_counts_nothing_and_is_an_error_only_in_a_test(data, notes):
    (notes / "test_batch").unlink()
    module = data()
    module.setup("fit")
    assert module.get_dataset_info()["num_test_samples"] == 0
    with pytest.raises(DataNotFoundError):
        module.setup("test")


def test_test_samples_are_counted_where_the_header_does_not_say(data, break_header):
    break_header(n_samples=None, test_samples=None)
    assert data().get_dataset_info()["num_test_samples"] == 20


def test_a_constant_channel_becomes_0(data, break_batch):
    break_batch(data=np.zeros((50, 144), np.uint8))
    images, _ = next(iter(data().val_dataloader()))
    assert not images.any()


def test_the_seed_of_the_run_fixes_the_order_and_that_of_the_data_the_split(data):
    def order(run_seed, **settings):
        torch.manual_seed(run_seed)
        return numbers(data(**settings).train_dataloader())

    assert order(1) == order(1) != order(2)
    assert numbers(data(seed=1).val_dataloader()) != numbers(data(seed=2).val_dataloader())
    torch.manual_seed(9)
    assert numbers(data(seed=1).val_dataloader()) == numbers(data(seed=1).val_dataloader())


def test_only_training_batches_are_augmented(data):
    plain, augmented = data(), data(augment={"crop": 2, "flip": True})
    pairs = [(plain.val_dataloader(), augmented.val_dataloader())]
    assert all(torch.equal(p[0], a[0]) for p, a in zip(*pairs[0], strict=True))
    torch.manual_seed(0)
    before = next(iter(plain.train_dataloader()))
    after = next(iter(augmented.train_dataloader()))
    assert torch.equal(before[1]["note"], after[1]["note"])
    assert not torch.equal(before[0], after[0])


def test_the_split_travels_with_a_checkpoint(data, tmp_path):
    module, other = data(seed=1), data(seed=2)
    torch.save(module.state_dict(), tmp_path / "state.pt")
    other.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert numbers(other.val_dataloader()) == numbers(module.val_dataloader())
    assert other.channel_mean == module.channel_mean


def test_a_checkpoint_of_other_data_is_refused(data, notes):
    state = data().state_dict() | {"num_samples": 51}
    with pytest.raises(DataFormatError) as error:
        data().load_state_dict(state)
    assert str(error.value) == (
        f"{notes / 'train_batch'}: found 50 samples; expected 51, as in the data of the checkpoint"
    )


def test_a_test_batch_with_other_heads_is_refused(data, notes, break_header):
    ranges = {name: {"min": 0, "max": 255} for name in ("note", "velocity", "length")}
    break_header(parameter_names=list(ranges), parameter_mappings=ranges)
    batch = pickle.loads((notes / "test_batch").read_bytes())
    batch["labels"][:, 3] = 2
    (notes / "test_batch").write_bytes(pickle.dumps(batch))
    with pytest.raises(DataFormatError) as error:
        data().setup("test")
    assert str(error.value) == (
        f"{notes / 'test_batch'}: found the heads note, length; "
        "expected note, velocity, as in train_batch"
    )


def test_kept_batches_are_those_of_validation_and_test(data):
    module = data(cache=True)
    assert isinstance(module.val_dataloader(), KeptBatches)
    assert isinstance(module.predict_dataloader(), KeptBatches)
    assert isinstance(module.train_dataloader(), BatchLoader)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_transform_goes_sample_by_sample(data, workers):
    module = data(
        train_transform=PLAIN,
        val_transform=PLAIN,
        test_transform=PLAIN,
        num_workers=workers,
        pin_memory=True,
        persistent_workers=True,
    )
    loaders = module.train_dataloader(), module.val_dataloader(), module.test_dataloader()
    images, targets = next(iter(loaders[1]))
    assert (images.shape, images.dtype) == ((8, 3, 8, 6), torch.float32)
    assert targets["note"].shape == (8,)
    assert [len(numbers(loader)) for loader in loaders] == [40, 10, 20]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "data.batch_size: found 0; write a whole number from 1 up"),
        ({"batch_size": 8.0}, "data.batch_size: found 8.0; write a whole number from 1 up"),
        ({"num_workers": -1}, "data.num_workers: found -1; write a whole number from 0 up"),
        ({"seed": None}, "data.seed: found None; write a whole number from 0 up"),
        ({"seed": True}, "data.seed: found True; write a whole number from 0 up"),
        ({"seed": -1}, "data.seed: found -1; write a whole number from 0 up"),
        ({"val_fraction": 1.0}, "data.val_fraction: found 1.0; write a number between 0 and 1"),
        (
            {"source": "mnist"},
            "data.source: unknown source 'mnist'; did you mean multimnist? (one of: multimnist)",
        ),
        (
            {"augment": {"flip": True}, "train_transform": PLAIN},
            (
                "data.augment: works on whole batches, and data.train_transform on single images; "
                "write one of them"
            ),
        ),
        (
            {"cache": True, "val_transform": Compose([RandomHorizontalFlip(), ToTensor()])},
            (
                "data.cache: keeps what a transform does before its first random step, and "
                "data.val_transform begins with one that may be; write data.cache=false"
            ),
        ),
    ],
)
def test_wrong_arguments_are_refused_when_the_module_is_made(data, settings, message):
    with pytest.raises(ConfigError) as error:
        data(**settings)
    assert str(error.value) == message


def test_a_missing_directory_says_how_to_build_it(tmp_path):
    module = CIFAR100MHDataModule(tmp_path / "none")
    for ask in (module.prepare_data, module.setup, lambda: describe_data(tmp_path / "none", None)):
        with pytest.raises(DataNotFoundError) as error:
            ask()
        assert str(error.value) == (
            f"data.data_dir: there is no directory {tmp_path / 'none'}; write data.data_dir=DIR, "
            "or data.source=multimnist to build it there"
        )


def test_a_directory_that_exists_is_never_built_over(tmp_path):
    CIFAR100MHDataModule(tmp_path, source="multimnist").prepare_data()
    assert not list(tmp_path.iterdir())


def test_a_source_is_built_where_there_is_nothing(tmp_path):
    module = CIFAR100MHDataModule(tmp_path / "data", source="multimnist")
    described = describe_data(tmp_path / "data", "multimnist")
    assert not (tmp_path / "data").exists()
    module.prepare_data()
    module.setup("fit")
    assert (module.heads, module.image_shape) == described == describe_data(tmp_path / "data", None)
    assert module.get_dataset_info()["num_train_samples"] == 18_000


class Sees(lightning.LightningModule):
    """Writes down the targets of every training batch."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch):
        self.seen += batch[1]["velocity"].tolist()
        return self.weight * batch[0].mean()

    def validation_step(self, batch):
        pass

    test_step = validation_step

    def predict_step(self, batch):
        return batch[1]["note"]

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_data_set_without_a_name_is_named_by_its_directory(data, break_header):
    break_header(dataset_name=None)
    assert data().get_dataset_info()["dataset_name"] == "notes"


def trainer(epochs=1):
    return lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_a_resumed_run_sees_what_an_uninterrupted_one_would(data, tmp_path):
    lightning.seed_everything(3, verbose=False)
    whole, half, resumed = Sees(), Sees(), Sees()
    trainer(4).fit(whole, datamodule=data(cache=True))
    first = trainer(2)
    first.fit(half, datamodule=data())
    first.save_checkpoint(tmp_path / "half.ckpt")
    other_split = data(seed=5)
    trainer(4).fit(
        resumed, datamodule=other_split, ckpt_path=tmp_path / "half.ckpt", weights_only=True
    )
    assert half.seen + resumed.seen == whole.seen
    assert whole.seen[:40] != whole.seen[40:80]


def test_samples_of_a_transform_come_in_an_order_of_seed_and_epoch(data):
    lightning.seed_everything(3, verbose=False)
    whole, later = Sees(), Sees()
    trainer(2).fit(whole, datamodule=data())
    trainer(2).fit(later, datamodule=data(train_transform=PLAIN))
    assert later.seen == whole.seen
    assert whole.seen[:40] != whole.seen[40:]


def test_a_plain_trainer_tests_and_predicts(data):
    plain = trainer()
    plain.test(Sees(), datamodule=data(), verbose=False)
    predicted = plain.predict(Sees(), datamodule=data())
    by_sample = plain.predict(Sees(), datamodule=data(test_transform=PLAIN))
    assert torch.cat(by_sample).tolist() == torch.cat(predicted).tolist()
    assert len(torch.cat(predicted)) == 20


def test_a_plain_trainer_needs_no_ray_hydra_or_mlflow(notes):
    program = f"""
import sys
from mhray.data.batches import open_split
from mhray.data.datamodule import CIFAR100MHDataModule
data = CIFAR100MHDataModule({str(notes)!r})
data.setup("fit")
next(iter(data.train_dataloader()))
print(sorted({{"ray", "hydra", "mlflow", "optuna", "omegaconf"}} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_two_ranks_share_every_epoch_whatever_their_seeds(notes):
    script = Path(__file__).with_name("two_ranks.py")
    done = subprocess.run(
        [sys.executable, script, notes], capture_output=True, text=True, check=True
    )
    ranks = sorted(json.loads(line) for line in done.stdout.splitlines())
    assert [rank[0] for rank in ranks] == [0, 1]
    assert [len(rank[1]) for rank in ranks] == [20, 20]
    assert not {tuple(i) for i in ranks[0][1]} & {tuple(i) for i in ranks[1][1]}
    assert ranks[0][2] == ranks[1][2] == [4] * 5


def test_raw_records_give_the_same_batches(notes, tmp_path, data):
    header, _, train = open_split(notes, "train_batch")
    write_dataset(tmp_path / "raw", header, train, raw=True)
    raw = CIFAR100MHDataModule(tmp_path / "raw", batch_size=8, val_fraction=0.2)
    for found, expected in zip(raw.val_dataloader(), data().val_dataloader(), strict=True):
        assert torch.equal(found[0], expected[0])


YAML = Path(__file__).parents[2] / "configs/data/cifar100mh.yaml"


def test_the_config_lists_every_argument_with_its_default():
    config = OmegaConf.load(YAML)
    arguments = inspect.signature(CIFAR100MHDataModule).parameters
    assert config.keys() == {"_target_", *arguments}
    for name in arguments.keys() - {"data_dir"}:
        assert config[name] == arguments[name].default


def test_the_examples_in_the_config_work_when_they_are_uncommented(small_data):
    text = YAML.read_text().replace("${paths.data_dir}/cifar100mh", str(small_data))
    text = text.replace("augment: null", "").replace("train_transform: null", "")
    lines = [re.sub("^# (?=augment:|train_transform:|  )", "", s) for s in text.splitlines()[3:]]
    config = OmegaConf.create("\n".join(lines))
    transform = config.pop("train_transform")
    assert instantiate(config).augment == {"crop": 4, "flip": True, "rotate": 15}
    module = instantiate(config, augment=None, train_transform=transform, _convert_="all")
    assert next(iter(module.train_dataloader()))[0].shape == (64, 3, 32, 32)


def test_what_was_decided_is_logged(notes, caplog):
    module = CIFAR100MHDataModule(notes, val_transform=ToTensor())
    with caplog.at_level(logging.DEBUG, logger="mhray.data.datamodule"):
        module.setup()
        module.val_dataloader()
    assert caplog.messages == [
        f"{notes}: 45 training, 5 validation samples",
        f"{notes}: Normalisation(mean={module.channel_mean}, std={module.channel_std})",
        f"{notes}: loaded sample by sample",
    ]
