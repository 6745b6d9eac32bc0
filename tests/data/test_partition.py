import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.data.partition import stratified
from mhray.errors import DataFormatError


@given(
    st.lists(st.integers(0, 4), min_size=2, max_size=200),
    st.floats(0.01, 0.99),
    st.integers(0, 2**31),
)
def test_a_partition_is_disjoint_whole_and_stratified(classes, fraction, seed):
    classes = np.array(classes)
    parts = stratified(classes, fraction, seed)
    assert sorted([*parts.train, *parts.val]) == list(range(len(classes)))
    count = min(max(1, round(len(classes) * fraction)), len(classes) - 1)
    assert len(parts.val) == count
    for wanted in np.unique(classes):
        share = (classes == wanted).mean() * count
        assert abs((classes[parts.val] == wanted).sum() - share) <= 1


def test_one_seed_gives_one_partition_and_another_another():
    classes = np.arange(100) % 10
    first, again, other = (stratified(classes, 0.2, seed).val.tolist() for seed in (3, 3, 4))
    assert first == again != other


def test_one_sample_cannot_be_split():
    with pytest.raises(DataFormatError) as error:
        stratified(np.zeros(1, np.int64), 0.5, 0)
    assert str(error.value) == (
        "train_batch: found 1 sample; expected at least 2, for training and for validation"
    )
