import json
import pickle

import numpy as np
import pytest
import torch
from torchvision.transforms import Compose, Normalize, ToTensor

from mhray.data.dataset import (
    CIFAR100MHDataset,
    MultiheadDatasetBase,
    create_cifar100mh_datasets,
)
from mhray.data.header import HEADER_NAME
from mhray.errors import DataFormatError, HeadMismatchError
from mhray.heads import Head


class Squares(MultiheadDatasetBase):
    """Another format: one label per image, and its square."""

    def _parse_labels(self, raw_labels):
        return np.stack([raw_labels, raw_labels**2], axis=1)

    def _get_sample_metadata(self, idx):
        return {"file": "squares.txt", "line": idx + 1}


def squares(labels, channels=3):
    images = np.zeros((len(labels), channels, 4, 5), np.uint8)
    return Squares(images, np.array(labels), (Head("root", 4), Head("square", 10)))


def test_an_item_is_an_image_in_0_to_1_and_a_target_per_head(notes):
    data = CIFAR100MHDataset(notes)
    image, target = data[3]
    assert (image.shape, image.dtype) == ((3, 8, 6), torch.float32)
    torch.testing.assert_close(image, torch.from_numpy(data.images[3].copy()) / 255)
    assert target["note"].dtype == torch.int64
    assert {head: int(value) for head, value in target.items()} == {
        "note": data.targets[3, 0],
        "velocity": data.targets[3, 1],
    }


def test_the_class_is_the_value_less_the_smallest_one(notes, break_batch):
    break_batch(labels=[[2, 0, 43, 1, 9]] * 50)
    assert [int(t) for t in CIFAR100MHDataset(notes)[0][1].values()] == [3, 9]


def test_torchvision_transforms_work_as_written_everywhere(notes):
    transform = Compose([ToTensor(), Normalize((0.5,) * 3, (0.5,) * 3)])
    found, _ = CIFAR100MHDataset(notes, transform=transform)[0]
    plain, _ = CIFAR100MHDataset(notes)[0]
    torch.testing.assert_close(found, (plain - 0.5) / 0.5)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB"), (4, "RGBA")])
def test_a_transform_receives_a_pil_image(channels, mode):
    image, _ = squares([1], channels).with_transform(lambda image: image)[0]
    assert (image.mode, image.size) == (mode, (5, 4))


def test_a_transform_receives_an_array_where_pil_has_no_mode():
    image, _ = squares([1], channels=2).with_transform(lambda image: image)[0]
    assert image.shape == (4, 5, 2)


def test_a_target_transform_receives_all_targets(notes):
    data = CIFAR100MHDataset(notes, target_transform=sorted)
    assert data[0][1] == ["note", "velocity"]


@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_a_red_square_at_the_top_left_stays_there(tmp_path, layout):
    picture = np.zeros((32, 32, 3), np.uint8)
    picture[:10, :10, 0] = 255
    flat = picture.transpose(2, 0, 1) if layout == "CHW" else picture
    batch = {b"data": flat.reshape(1, -1), b"labels": [[1, 0, 5]]}
    (tmp_path / "train_batch").write_bytes(pickle.dumps(batch))
    fields = {"format": "CIFAR-100-MH", "image_size": "32x32x3", "parameter_names": ["a"]}
    (tmp_path / HEADER_NAME).write_text(json.dumps(fields | {"image_layout": layout}))
    image, _ = CIFAR100MHDataset(tmp_path)[0]
    assert torch.equal(image.permute(1, 2, 0), torch.from_numpy(picture) / 255)


def test_an_argument_overrules_the_layout_of_the_header(notes):
    planar, interleaved = CIFAR100MHDataset(notes), CIFAR100MHDataset(notes, image_layout="HWC")
    flat = planar.images[0].reshape(-1)
    np.testing.assert_array_equal(interleaved.images[0], flat.reshape(8, 6, 3).transpose(2, 0, 1))


def test_statistics_describe_the_split(notes):
    train, test = create_cifar100mh_datasets(notes)
    found = test.get_dataset_statistics()
    assert (len(train), found["num_samples"]) == (50, 20)
    assert found["image_shape"] == test.get_image_shape() == (3, 8, 6)
    assert found["heads_config"] == {"note": 4, "velocity": 10}
    counts = found["class_distribution"]["note"]
    assert (list(counts), sum(counts.values())) == ([0, 1, 2, 3], 20)
    assert found["parameter_statistics"]["note"] == {"min": 40, "max": 43, "num_distinct": 4}
    assert len(found["channel_mean"]) == len(found["channel_std"]) == 3


def test_parameters_are_described(notes):
    data = CIFAR100MHDataset(notes)
    assert data.get_parameter_info("velocity") == {
        "description": "loudness",
        "min": 0,
        "max": 9,
        "scale": "log",
    }
    with pytest.raises(HeadMismatchError) as error:
        data.get_parameter_info("velocty")
    assert str(error.value) == (
        "get_parameter_info: the data has no such head; did you mean velocity? "
        "(heads: note, velocity)"
    )


def test_a_parameter_without_a_mapping_is_described_by_its_values(notes, break_header):
    break_header(parameter_mappings={})
    info = CIFAR100MHDataset(notes).get_parameter_info("note")
    assert info == {"description": "", "min": 0, "max": 43, "scale": "categorical"}


def test_a_subclass_gets_everything_but_the_labels():
    data = squares([0, 3, 2])
    assert data.targets.tolist() == [[0, 0], [3, 9], [2, 4]]
    assert data.get_class_distribution()["root"] == {0: 1, 1: 0, 2: 1, 3: 1}


def test_a_class_that_a_head_lacks_is_refused_with_its_place():
    with pytest.raises(DataFormatError) as error:
        squares([0, 4])
    assert str(error.value) == (
        "file squares.txt, line 2: head root: found the class 4; expected 0 to 3"
    )


def test_a_class_that_a_cifar100mh_file_lacks_would_be_told_with_the_file(notes):
    data = CIFAR100MHDataset(notes)
    assert data._get_sample_metadata(3) == {"file": notes / "train_batch", "sample": 3}


def test_a_data_set_is_sent_to_a_worker_without_its_samples(notes):
    data = CIFAR100MHDataset(notes, image_layout="HWC")
    sent = pickle.dumps(data)
    arrived = pickle.loads(sent)
    assert len(sent) < 4096
    np.testing.assert_array_equal(arrived.images, data.images)
    np.testing.assert_array_equal(arrived.targets, data.targets)
