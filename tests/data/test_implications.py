import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mhray.data.batches import read_heads
from mhray.data.datamodule import CIFAR100MHDataModule
from mhray.data.implications import implications, implying_heads
from mhray.heads import Head, Implication

CLASSES = 4


def by_groups(values):
    """What pandas finds: of each pair of columns, whether one is constant within the other."""
    table = pd.DataFrame(values, columns=list("abc"))
    return {
        (head, by)
        for head in "abc"
        for by in "abc"
        if head != by and len(table[[by, head]].drop_duplicates()) == len(table[by].unique())
    }


@given(arrays(np.uint8, st.tuples(st.integers(1, 250), st.just(3)), elements=st.integers(0, 1)))
def test_a_head_is_implied_where_it_is_constant_within_every_class_of_another(values):
    found = dict(zip("abc", implying_heads(values), strict=True))
    assert {(head, "abc"[by]) for head, others in found.items() for by in others} == by_groups(
        values
    )


@given(st.lists(st.integers(0, CLASSES - 1), min_size=CLASSES, max_size=CLASSES), st.data())
def test_the_classes_are_those_of_the_samples(classes, data):
    fine = data.draw(st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=30))
    targets = np.array([[classes[f], f] for f in fine], np.uint8)
    heads = [Head("coarse", CLASSES, 7, implied_by=("fine",)), Head("fine", CLASSES, 3)]
    told = tuple(known if f in fine else None for f, known in enumerate(classes))
    assert implications(targets, heads) == {"coarse": (Implication("fine", told),)}


@pytest.mark.parametrize("place", [0, 150, 499])
def test_a_single_sample_that_says_otherwise_is_enough(place):
    fine = np.arange(500, dtype=np.uint8) % CLASSES
    values = np.stack([fine // 2, fine], axis=1)
    values[place, 0] ^= 1
    assert implying_heads(values) == [[], []]


def test_the_heads_of_a_directory_know_what_implies_them(fine_coarse):
    coarse, fine, noise = read_heads(fine_coarse)
    assert (coarse.implied_by, fine.implied_by, noise.implied_by) == (("fine",), (), ())
    assert (coarse.largest_share, fine.largest_share) == (1 / 3, 1 / 6)


def test_a_data_module_tells_the_classes_that_the_train_batch_tells(fine_coarse):
    info = CIFAR100MHDataModule(fine_coarse).get_dataset_info()
    assert info["implied_heads"] == {"coarse": (Implication("fine", (0, 0, 1, 1, 2, 2, None)),)}
