import inspect
import json
import logging
import pickle

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import Compose, Normalize, ToTensor

from mhray.data.batches import fingerprint
from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.dataset import CIFAR100MHDataset, create_cifar100mh_datasets
from mhray.data.header import HEADER_NAME, SISTER_HEADER_NAME
from mhray.data.inspect import main as inspect_directory
from mhray.data.per_sample import collate_multihead
from mhray.data.prepare import main as prepare
from mhray.errors import HeadMismatchError
from mhray.training.run import compose_run, train

MAPPINGS = {
    "note_number": {"min": 21, "max": 108, "description": "MIDI note number", "scale": "linear"},
    "note_velocity": {"min": 0, "max": 127, "description": "loudness", "scale": "log"},
}


def pickled(rows=lambda matrix: matrix, key=str, labels="labels", protocol=4, **size):
    """How one program or another writes a batch."""

    def encode(pixels, records):
        batch = {"data": rows(pixels), labels: rows(records), **size}
        return pickle.dumps({key(k): v for k, v in batch.items()}, protocol)

    return encode


def raw(pixels, records):
    return np.hstack([records, pixels]).tobytes()


FORMS = {
    "arrays": pickled(),
    "arrays of Fortran": pickled(np.asfortranarray),
    "wider numbers": pickled(np.int64),
    "lists": pickled(np.ndarray.tolist),
    "a list of arrays": pickled(list),
    "bytes as keys": pickled(key=str.encode, protocol=0),
    "cifar100mh_labels": pickled(labels="cifar100mh_labels", protocol=1),
    "multihead_labels": pickled(labels="multihead_labels", protocol=2),
    "vimh_labels": pickled(labels="vimh_labels", protocol=3),
    "its own size": pickled(height=32, width=32, channels=3, protocol=5),
    "raw records": raw,
}


def shuffled_pairs(records):
    """The same records with their pairs in the other order in every second sample."""
    return np.where(np.arange(len(records))[:, None] % 2, records[:, [0, 3, 4, 1, 2]], records)


class TestCIFAR100MHDataset:
    """The data set, through every form in which a directory may come."""

    @pytest.mark.parametrize("layout", ["CHW", "HWC"])
    @pytest.mark.parametrize("form", FORMS)
    def test_every_form_of_a_directory_holds_the_same(self, foreign, tmp_path, form, layout):
        suffix = ".bin" if form == "raw records" else ""
        changes = {"image_layout": layout, "parameter_mappings": MAPPINGS}
        directory = foreign.write(tmp_path / "data", FORMS[form], suffix, **changes)
        for name, data in zip(foreign.images, create_cifar100mh_datasets(directory), strict=True):
            np.testing.assert_array_equal(data.images, foreign.images[name])
            np.testing.assert_array_equal(data.targets, foreign.records[name][:, 2::2] - [21, 0])

    def test_the_pairs_of_a_record_come_in_any_order(self, foreign, tmp_path):
        encode = pickled()
        other = foreign.write(tmp_path / "data", lambda x, y: encode(x, shuffled_pairs(y)))
        assert fingerprint(other) == fingerprint(foreign.directory)

    def test_a_directory_of_the_sister_format_is_read(self, foreign, tmp_path):
        encode = pickled(labels="vimh_labels")
        other = foreign.write(tmp_path / "data", encode, format="VIMH", version="3.0")
        (other / HEADER_NAME).rename(other / SISTER_HEADER_NAME)
        assert len(CIFAR100MHDataset(other)) == 200

    @pytest.mark.parametrize(("layout", "said"), [("CHW", "HWC"), ("HWC", "CHW"), ("HWC", None)])
    def test_an_argument_overrules_the_layout_of_the_header(self, foreign, tmp_path, layout, said):
        directory = foreign.write(tmp_path / "data", image_layout=layout)
        header = foreign.header | ({"image_layout": said} if said else {})
        (directory / HEADER_NAME).write_text(json.dumps(header))
        data = CIFAR100MHDataset(directory, image_layout=layout)
        np.testing.assert_array_equal(data.images, foreign.images["train_batch"])

    def test_a_directory_without_a_header_is_read_in_the_wild(self, foreign, tmp_path):
        directory = foreign.write(tmp_path / "data")
        (directory / HEADER_NAME).unlink()
        data = CIFAR100MHDataset(directory, strict=False)
        assert data.get_image_shape() == (3, 32, 32)
        assert list(data.get_heads_config()) == ["param_0", "param_1"]

    def test_the_arguments_are_those_of_the_interface(self):
        arguments = inspect.signature(CIFAR100MHDataset).parameters
        assert {name: argument.default for name, argument in arguments.items()} == {
            "root": inspect.Parameter.empty,
            "train": True,
            "transform": None,
            "target_transform": None,
            "strict": True,
            "image_layout": None,
        }

    def test_an_item_is_a_float_image_and_a_target_per_head(self, foreign):
        image, target = CIFAR100MHDataset(foreign.directory)[7]
        assert image.dtype == torch.float32
        expected = torch.from_numpy(foreign.images["train_batch"][7]) / 255
        torch.testing.assert_close(image, expected)
        assert [value.dtype for value in target.values()] == [torch.int64] * 2
        values = dict(zip(target, foreign.records["train_batch"][7, 2::2], strict=True))
        assert target == values

    def test_a_transform_works_as_written_everywhere(self, foreign):
        transform = Compose([ToTensor(), Normalize((0.5,) * 3, (0.25,) * 3)])
        image, _ = CIFAR100MHDataset(foreign.directory, transform=transform)[7]
        plain, _ = CIFAR100MHDataset(foreign.directory)[7]
        torch.testing.assert_close(image, (plain - 0.5) / 0.25)

    def test_the_data_set_describes_itself(self, foreign):
        _, test = create_cifar100mh_datasets(foreign.directory)
        found, velocities = test.get_dataset_statistics(), foreign.records["test_batch"][:, 4]
        assert found["num_samples"] == len(test) == 50
        assert found["image_shape"] == test.get_image_shape() == (3, 32, 32)
        assert found["heads_config"] == {"note_number": 128, "note_velocity": 128}
        assert found["class_distribution"]["note_velocity"][int(velocities[0])] == np.sum(
            velocities == velocities[0]
        )
        assert found["parameter_statistics"]["note_velocity"] == {
            "min": velocities.min(),
            "max": velocities.max(),
            "num_distinct": len(set(velocities)),
        }
        pixels = foreign.images["test_batch"] / 255
        assert found["channel_mean"] == pytest.approx(pixels.mean(axis=(0, 2, 3)))
        assert found["channel_std"] == pytest.approx(pixels.std(axis=(0, 2, 3)))

    def test_a_parameter_is_described_and_an_unknown_one_lists_the_others(self, foreign):
        data = CIFAR100MHDataset(foreign.directory)
        info = data.get_parameter_info("note_number")
        expected = {"description": "MIDI note number", "min": 0, "max": 127, "scale": "linear"}
        assert info == expected
        with pytest.raises(HeadMismatchError, match=r"\(heads: note_number, note_velocity\)$"):
            data.get_parameter_info("note_numbr")

    def test_what_is_read_is_told_to_those_who_ask_and_to_nobody_else(
        self, foreign, tmp_path, caplog
    ):
        directory = foreign.write(tmp_path / "data")
        with caplog.at_level(logging.DEBUG, logger="mhray"):
            CIFAR100MHDataset(directory)
        assert {record.levelno for record in caplog.records} == {logging.DEBUG}
        assert f"{directory / 'train_batch'}: 200 samples" in caplog.text


class TestCIFAR100MHDataModule:
    """The data module, on a directory of another program."""

    def test_its_loaders_share_out_the_samples(self, foreign):
        module = CIFAR100MHDataModule(foreign.directory, batch_size=64)
        module.setup()
        evaluated = module.val_dataloader(), module.test_dataloader(), module.predict_dataloader()
        loaders = module.train_dataloader(), *evaluated
        sizes = [[len(images) for images, _ in loader] for loader in loaders]
        assert sizes == [[64, 64, 52], [20], [50], [50]]

    def test_it_says_what_a_model_needs(self, foreign):
        module = CIFAR100MHDataModule(foreign.directory)
        info = module.get_dataset_info()
        assert info["heads_config"] == module.num_classes
        assert info["image_shape"] == (3, 32, 32)
        counts = {split: info[f"num_{split}_samples"] for split in ("train", "val", "test")}
        assert counts == {"train": 180, "val": 20, "test": 50}
        assert module.class_names["note_number"][60] == "60"

    def test_its_split_travels_in_its_state(self, foreign):
        one, other = (CIFAR100MHDataModule(foreign.directory, seed=seed) for seed in (1, 2))
        before = next(iter(other.val_dataloader()))
        other.load_state_dict(one.state_dict())
        ours, theirs = (next(iter(module.val_dataloader())) for module in (one, other))
        assert torch.equal(ours[0], theirs[0])
        assert not torch.equal(before[0], theirs[0])


class TestIntegration:
    """From the files to batches, commands and a trained network."""

    def test_batch_loading_compatibility(self, foreign):
        whole = CIFAR100MHDataModule(foreign.directory, batch_size=16)
        usual = Compose([ToTensor(), Normalize(whole.channel_mean, whole.channel_std)])
        single = CIFAR100MHDataModule(foreign.directory, batch_size=16, test_transform=usual)
        data = CIFAR100MHDataset(foreign.directory, train=False, transform=usual)
        plain = DataLoader(data, batch_size=16, collate_fn=collate_multihead)
        roads = whole.test_dataloader(), single.test_dataloader(), plain
        for batches in zip(*roads, strict=True):
            (images, targets), *others = batches
            for other_images, other_targets in others:
                torch.testing.assert_close(other_images, images, rtol=1e-5, atol=1e-5)
                assert all(torch.equal(other_targets[head], targets[head]) for head in targets)

    @pytest.mark.parametrize("encode", [pickled(key=str.encode, protocol=2), raw])
    @pytest.mark.parametrize("layout", ["CHW", "HWC"])
    def test_a_red_square_at_the_top_left_is_there_in_a_batch(self, tmp_path, encode, layout):
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[:10, :12, 0] = 255
        flat = picture if layout == "HWC" else picture.transpose(2, 0, 1)
        content = encode(np.stack([flat.reshape(-1)] * 4), np.array([[1, 0, 5]] * 4, np.uint8))
        (tmp_path / f"train_batch{'.bin' if encode is raw else ''}").write_bytes(content)
        fields = {"format": "CIFAR-100-MH", "image_size": "32x32x3", "parameter_names": ["red"]}
        (tmp_path / HEADER_NAME).write_text(json.dumps(fields | {"image_layout": layout}))
        module = CIFAR100MHDataModule(tmp_path)
        images, _ = next(iter(module.val_dataloader()))
        mean, std = (torch.tensor(m) for m in (module.channel_mean, module.channel_std))
        red, green, blue = (images[0].permute(1, 2, 0) * std + mean).unbind(2)
        is_red = red.round().bool()
        assert is_red[:10, :12].all()
        assert (is_red.sum(), green.any(), blue.any()) == (120, False, False)

    def test_ones_own_arrays_become_a_data_set_that_loads(self, foreign, tmp_path):
        np.save(tmp_path / "x.npy", foreign.images["train_batch"].transpose(0, 2, 3, 1))
        records = foreign.records["train_batch"].tolist()
        rows = [f"{note},{'loud' if force > 63 else 'soft'}" for _, _, note, _, force in records]
        (tmp_path / "y.csv").write_text("\n".join(["note,force", *rows]))
        files = ["--images", f"{tmp_path}/x.npy", "--labels", f"{tmp_path}/y.csv"]
        assert prepare(["from-arrays", f"{tmp_path}/data", *files, "--test-fraction", "0"]) == 0
        assert inspect_directory([f"{tmp_path}/data"]) == 0
        module = CIFAR100MHDataModule(tmp_path / "data", batch_size=90)
        assert [len(images) for images, _ in module.train_dataloader()] == [90, 90]
        assert module.class_names["force"] == ("loud", "soft")

    def test_pickles_rewritten_as_raw_records_hold_the_same(self, foreign, tmp_path):
        directory = foreign.write(tmp_path / "data")
        before = fingerprint(directory)
        assert prepare(["raw", str(directory)]) == 0
        assert fingerprint(directory) == before

    def test_a_network_is_trained_on_it_and_judged_as_its_heads_ask(self, foreign, tmp_path):
        overrides = ["experiment=cifar100mh_cnn", f"data.data_dir={foreign.directory}"]
        quick = ["trainer.max_epochs=1", "trainer.accelerator=cpu", "data.source=null"]
        config = compose_run([*overrides, *quick])
        result = train(config, tmp_path / "run", report=lambda row: None)
        assert {"val/note_number_acc", "val/note_velocity_mae"} <= result.metrics.keys()
