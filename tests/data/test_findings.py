import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.data.dataset import MultiheadDatasetBase
from mhray.data.findings import class_counts, distance_between, find_suspicious
from mhray.heads import Head

MANY = np.arange(600)


class InMemory(MultiheadDatasetBase):
    """Targets as they are given."""

    def _parse_labels(self, raw_labels):
        return np.asarray(raw_labels, np.uint8)

    def _get_sample_metadata(self, idx):
        return {"sample": idx}


def data_of(seed=0, **targets):
    """One head per keyword, with as many classes as its targets need; random images."""
    columns = np.stack([np.array(column, np.uint8) for column in targets.values()], axis=1)
    draw = np.random.default_rng(seed)
    images = draw.integers(256, size=(len(columns), 3, 4, 5), dtype=np.uint8)
    heads = tuple(Head(name, 1 + max(column)) for name, column in targets.items())
    return InMemory(images, columns, heads)


def found_in(**targets):
    """What is found in two equal draws of these targets."""
    return find_suspicious(data_of(**targets), data_of(seed=1, **targets))


def test_heads_that_have_nothing_to_do_with_each_other_are_not_suspicious():
    assert found_in(a=MANY % 10, b=MANY // 10 % 7) == []


def test_a_missing_test_batch_is_told():
    assert find_suspicious(data_of(a=MANY % 10)) == [
        "there is no test batch: nothing can be measured on images kept apart"
    ]


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (MANY * 0 + 3, "head a is constant: 3 in all 600 train images"),
        (MANY % 2 * 2, "head a: classes that never occur in train: 1 (1 of 3)"),
        (
            MANY % 2 * 9,
            "head a: classes that never occur in train: 1, 2, 3, 4 and 4 more (8 of 10)",
        ),
    ],
)
def test_classes_that_train_lacks_are_counted(column, message):
    assert found_in(a=column) == [message]


def test_a_class_of_test_that_train_lacks_is_named():
    train, test = data_of(a=MANY % 2 * 2), data_of(seed=1, a=MANY % 2 * 2)
    test.targets[:5] = 1
    assert find_suspicious(train, test)[0] == (
        "head a: classes that occur in test and never in train: 1 (5 test images)"
    )


def test_a_head_that_one_split_lacks_is_named():
    train, test = (
        data_of(seed, a=MANY % 10, **{name: MANY // 10 % 7}) for seed, name in enumerate("bc")
    )
    assert find_suspicious(train, test) == [
        "only train has the heads b",
        "only test has the heads c",
    ]


def test_a_head_that_determines_another_is_told_in_that_direction():
    assert found_in(fine=MANY % 20, coarse=MANY % 20 // 5, other=MANY // 20 % 7) == [
        (
            "head fine determines coarse: each of its classes occurs with one class only "
            "in 600 train images"
        )
    ]


def test_heads_that_are_renamed_copies_are_told_once():
    assert found_in(a=MANY % 7, b=6 - MANY % 7, c=MANY // 7 % 5, d=(MANY + 3) % 7) == [
        "heads a, b, d are the same up to the names of their classes"
    ]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (range(12), [0, 1] * 6),  # as many classes as samples
        (MANY % 10, MANY * 0),  # a constant head is known without the other one
        (np.where(MANY == 5, 2, MANY % 2), MANY == 5),  # a single sample is rare
    ],
)
def test_what_chance_can_do_is_no_dependence(one, other):
    found = find_suspicious(data_of(one=one, other=other))
    assert not [finding for finding in found if "determines" in finding or "the same" in finding]


def test_classes_that_are_shared_out_otherwise_in_test_are_told():
    train = data_of(a=MANY % 2)
    test = data_of(seed=1, a=MANY % 10 == 0)
    assert find_suspicious(train, test) == [
        (
            "head a: its classes are shared out otherwise in test: total variation distance 0.40, "
            "where chance explains 0.18"
        )
    ]


@given(
    st.lists(st.floats(0.01, 1), min_size=2, max_size=30),
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.integers(0, 2**32 - 1),
)
def test_fair_draws_stay_within_what_chance_explains(weights, sizes, seed):
    draw, shares = np.random.default_rng(seed), np.array(weights) / sum(weights)
    distance, explained = distance_between(*(draw.multinomial(size, shares) for size in sizes))
    assert 0 <= distance <= min(explained, 1)


def test_counts_include_classes_without_samples():
    ((head, counts),) = class_counts(data_of(a=[4, 2, 4]))
    assert (head.name, counts.tolist()) == ("a", [0, 0, 1, 0, 2])
