import logging
import pickle

import numpy as np
import pytest

from mhray.data.batches import describe_directory, fingerprint, open_split, read_heads
from mhray.data.header_rules import COUNTS
from mhray.data.writing import write_dataset
from mhray.errors import ConfigError, DataFormatError, DataNotFoundError
from mhray.heads import Head


def records(*rows):
    return [list(row) for row in rows]


def test_heads_come_with_their_classes_in_order_of_id(notes):
    note = Head("note", 4, 40, class_names=("E", "F", "F#", "G"))
    assert read_heads(notes) == (note, Head("velocity", 10, scale="log"))
    assert describe_directory(notes)[1] == (3, 8, 6)


def test_without_a_mapping_the_classes_reach_the_largest_value_of_both_batches(notes, break_header):
    break_header(parameter_mappings={}, parameter_names=[])
    train, test = (open_split(notes, f"{s}_batch")[2].values for s in ("train", "test"))
    largest = np.maximum(train.max(axis=0), test.max(axis=0)) + 1
    assert read_heads(notes) == (Head("param_0", largest[0]), Head("param_1", largest[1]))


def test_the_order_of_pairs_is_free(break_batch, notes):
    split = open_split(notes, "train_batch")[2]
    rows = [[2, 1, v, 0, n] if n == 41 else [2, 0, n, 1, v] for n, v in split.values.tolist()]
    break_batch(labels=rows)
    np.testing.assert_array_equal(open_split(notes, "train_batch")[2].values, split.values)


@pytest.mark.parametrize("key", ["cifar100mh_labels", "multihead_labels", "vimh_labels"])
def test_label_records_have_several_names(notes, key):
    path = notes / "train_batch"
    batch = pickle.loads(path.read_bytes())
    path.write_bytes(pickle.dumps({b"data": batch["data"], key.encode(): batch["labels"]}))
    assert len(open_split(notes, "train_batch")[2]) == 50


@pytest.mark.parametrize("as_rows", [np.ndarray.tolist, list, tuple, np.int64])
def test_rows_may_be_lists_or_arrays(notes, break_batch, as_rows):
    images = open_split(notes, "train_batch")[2].images
    break_batch(data=as_rows(images.reshape(50, -1)))
    np.testing.assert_array_equal(open_split(notes, "train_batch")[2].images, images)


BYTES = [0] * 144
LABEL = [2, 0, 40, 1, 0]
BROKEN = [
    ({"data": None}, "has no key 'data'; found the keys channels, height, labels, width"),
    (
        {"labels": None},
        (
            "has no labels; found the keys channels, data, height, width, expected one of labels, "
            "cifar100mh_labels, multihead_labels, vimh_labels"
        ),
    ),
    ({"data": 5}, "'data' is of type int; write an array or a list of lists"),
    ({"data": []}, "'data' holds no samples; expected at least 1"),
    ({"data": np.zeros((0, 144), np.uint8)}, "holds no samples; expected at least 1"),
    (
        {"data": np.zeros((2, 3, 8, 6), np.uint8)},
        "'data' is an array of shape (2, 3, 8, 6); expected (samples, values per sample)",
    ),
    ({"data": np.zeros((50, 144))}, "'data' is an array of float64; expected uint8"),
    (
        {"data": np.full((50, 144), 256)},
        "sample 0: found 256 in 'data'; expected whole numbers, 0 to 255",
    ),
    (
        {"data": [BYTES, [-1, *BYTES[1:]]]},
        "sample 1: found -1 in 'data'; expected whole numbers, 0 to 255",
    ),
    (
        {"data": [BYTES, [0.5, *BYTES[1:]]]},
        "sample 1: found 0.5 in 'data'; expected whole numbers, 0 to 255",
    ),
    (
        {"data": [BYTES, BYTES[1:], BYTES[2:]]},
        (
            "sample 1: 'data' holds 143 values; expected 144, as in sample 0 "
            "(1 more samples are wrong)"
        ),
    ),
    (
        {"data": [BYTES, "text"]},
        "'data' holds rows of several kinds (list, str); write lists of numbers",
    ),
    (
        {"data": np.zeros((50, 100), np.uint8)},
        "sample 0: found 100 pixel bytes; expected 8 x 6 x 3 = 144 (the header's image_size)",
    ),
    ({"height": 9}, "height is 9; expected 8 (the header's image_size)"),
    ({"height": 8.0}, "height is 8.0; expected 8 (the header's image_size)"),
    ({"width": [6]}, "width is a list; expected 6 (the header's image_size)"),
    ({"labels": [LABEL] * 3}, "found 3 label records; expected 50, one per image"),
    (
        {"labels": [LABEL] * 49 + [LABEL[:3]]},
        "sample 49: 'labels' holds 3 values; expected 5, as in sample 0",
    ),
    (
        {"labels": [[]] * 50},
        "the label records are empty; expected [N] [id] [value] ...",
    ),
    ({"labels": [[0]] * 50}, "sample 0: found N = 0 heads; expected 1 to 255"),
    (
        {"labels": [[3, 0, 40, 1, 0]] * 50},
        "sample 0: found a label record of 5 bytes; expected 7, since its N is 3",
    ),
    (
        {"labels": [LABEL] * 49 + [[1, *LABEL[1:]]]},
        "sample 49: found N = 1 heads; expected 2, as in sample 0",
    ),
    (
        {"labels": [[2, 1, 0, 1, 0]] * 50},
        "sample 0: found the id 1 twice in its label record; expected each id once",
    ),
    (
        {"labels": [LABEL] * 49 + [[2, 0, 40, 7, 0]]},
        "sample 49: found the ids [0, 7]; expected [0, 1], as in sample 0",
    ),
    (
        {"labels": [LABEL] * 48 + [[2, 0, 39, 1, 0]] * 2},
        "head note: sample 48: found the value 39; expected 40 to 43 (1 more samples are wrong)",
    ),
    (
        {"labels": [LABEL] * 30, "data": [BYTES] * 30},
        "found 30 samples; expected 50 (train_samples in the header)",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), BROKEN)
def test_a_broken_batch_is_refused(notes, break_batch, changes, problem):
    path = break_batch(**changes)
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value) == f"{path}: {problem}"


def test_a_pickle_of_something_else_is_refused(notes):
    path = notes / "train_batch"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value) == f"{path}: holds a list; expected a dict with 'data' and 'labels'"


def test_an_empty_dict_is_refused(notes):
    (notes / "train_batch").write_bytes(pickle.dumps({}))
    with pytest.raises(DataFormatError, match="has no key 'data'; found an empty dict"):
        open_split(notes, "train_batch")


def test_the_keys_of_a_file_are_told_without_their_escape_codes_and_not_all_of_them(notes):
    path = notes / "train_batch"
    path.write_bytes(pickle.dumps({"\x1b[2J" + "k" * 99: 0} | {f"z{i:02}": 0 for i in range(30)}))
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    keys = ", ".join(f"z{i:02}" for i in range(19))
    assert str(error.value) == (
        f"{path}: has no key 'data'; found the keys \\x1b[2J{'k' * 36}, {keys}, ..."
    )


def test_a_list_that_repeats_one_row_too_often_is_refused(notes, break_batch):
    path = break_batch(data=[BYTES] * 500_000)
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value).startswith(
        f"{path}: 'data' names the same rows again and again, 72000000 bytes in all, each of "
    )


def test_a_missing_batch_is_an_error_only_when_it_is_asked_for(notes):
    (notes / "test_batch").unlink()
    assert len(open_split(notes, "train_batch")[2]) == 50
    with pytest.raises(DataNotFoundError) as error:
        open_split(notes, "test_batch")
    assert (
        str(error.value) == f"{notes}: has no test_batch and no test_batch.bin; write one of them"
    )


def test_a_test_batch_alone_says_what_its_heads_are(notes):
    (notes / "train_batch").unlink()
    assert [head.name for head in read_heads(notes)] == ["note", "velocity"]


def test_batches_with_different_ids_are_refused(notes, break_header, break_batch):
    break_header(parameter_mappings={})
    path = notes / "test_batch"
    break_batch(labels=[[2, 0, 40, 2, 0]] * 50)
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value) == f"{path}: found the ids [0, 1]; expected [0, 2], as in train_batch"


def test_two_ids_of_one_name_are_refused(notes, break_header, break_batch):
    break_header(parameter_names=["param_1"], parameter_mappings={})
    with pytest.raises(DataFormatError) as error:
        read_heads(notes)
    assert str(error.value) == (
        f"{notes / 'train_batch'}: the ids 0 and 1 are both named 'param_1'; "
        "write another name in the header"
    )


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        (
            (60, None, None),
            "found 50 samples; expected 40 (n_samples in the header, less the 20 of",
        ),
        ((60, None, 20), "found 50 samples; expected 40 (n_samples - test_samples in the header)"),
        ((None, 40, None), "found 50 samples; expected 40 (train_samples in the header)"),
    ],
)
def test_counts_that_disagree_with_the_files_are_refused(notes, break_header, counts, problem):
    break_header(**dict(zip(COUNTS, counts, strict=True)))
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value).startswith(f"{notes / 'train_batch'}: {problem}")


def test_the_rest_of_all_samples_is_the_test_batch(notes, break_header):
    break_header(n_samples=60, test_samples=None)
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "test_batch")
    assert str(error.value) == (
        f"{notes / 'test_batch'}: found 20 samples; "
        "expected 10 (n_samples - train_samples in the header)"
    )


@pytest.mark.parametrize(
    "counts", [(70, None, None), (70, 50, None), (70, None, 20), (None, None, None)]
)
def test_counts_that_agree_with_the_files_may_be_left_out(notes, break_header, counts):
    break_header(**dict(zip(COUNTS, counts, strict=True)))
    assert [len(open_split(notes, f"{s}_batch")[2]) for s in ("train", "test")] == [50, 20]


def test_a_batch_alone_may_hold_no_more_than_all_samples(notes, break_header):
    (notes / "test_batch").unlink()
    break_header(n_samples=70, train_samples=None, test_samples=None)
    assert len(open_split(notes, "train_batch")[2]) == 50
    break_header(n_samples=40)
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value) == (
        f"{notes / 'train_batch'}: found 50 samples; expected 40 (n_samples in the header)"
    )


def test_in_the_wild_other_counts_are_a_warning(notes, break_header):
    break_header(train_samples=3, n_samples=23)
    with pytest.warns(UserWarning, match=r"found 50 samples; expected 3 \(train_samples in the"):
        assert len(open_split(notes, "train_batch", strict=False)[2]) == 50


def test_an_unknown_layout_is_refused(notes):
    with pytest.raises(ConfigError) as error:
        open_split(notes, "train_batch", layout="HCW")
    assert str(error.value) == "image_layout: found 'HCW'; write CHW or HWC"


def test_raw_records_stay_mapped_and_hold_the_same(notes, tmp_path):
    header, heads, train = open_split(notes, "train_batch")
    test = open_split(notes, "test_batch")[2]
    write_dataset(tmp_path / "raw", header, train, test, raw=True)
    _, raw_heads, raw = open_split(tmp_path / "raw", "train_batch")
    assert raw_heads == heads
    assert not raw.images.flags.owndata
    np.testing.assert_array_equal(raw.images, train.images)
    np.testing.assert_array_equal(raw.values, train.values)
    assert fingerprint(tmp_path / "raw") == fingerprint(notes)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "holds no samples; expected at least 1"),
        (
            b"\x02" + bytes(200),
            "sample 1: found 52 bytes; expected 149 (5 of labels, 144 of pixels)",
        ),
        (b"\x00" + bytes(144), "sample 0: found N = 0 heads; expected 1 to 255"),
    ],
)
def test_broken_raw_records_are_refused(notes, content, problem):
    (notes / "train_batch").unlink()
    path = notes / "train_batch.bin"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as error:
        open_split(notes, "train_batch")
    assert str(error.value) == f"{path}: {problem}"


def test_a_fingerprint_changes_with_a_pixel_a_label_and_the_header(
    notes, break_batch, break_header
):
    found = {fingerprint(notes)}
    break_batch(data=np.zeros((50, 144), np.uint8))
    found.add(fingerprint(notes))
    break_batch(labels=[LABEL] * 50)
    found.add(fingerprint(notes))
    break_header(dataset_name="other")
    found.add(fingerprint(notes))
    (notes / "test_batch").unlink()
    found.add(fingerprint(notes))
    assert len(found) == 5


def test_a_fingerprint_stays_when_the_directory_is_renamed(notes, break_header):
    break_header(dataset_name=None)
    before = fingerprint(notes)
    assert fingerprint(notes.rename(notes.with_name("other"))) == before


def test_what_was_read_is_logged(notes, caplog):
    with caplog.at_level(logging.DEBUG, logger="mhray"):
        open_split(notes, "train_batch")
    assert caplog.messages == [
        f"{notes / 'train_batch'}: mapped from {notes / '.train_batch.mapped'}",
        f"{notes / 'train_batch'}: 50 samples, heads note (4), velocity (10), layout CHW",
    ]
