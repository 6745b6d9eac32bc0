import pytest

from mhray.heads import Head
from mhray.tuning.weak_heads import weak_heads

HEADS = [Head("coarse", 2, implied_by=("fine",)), Head("fine", 3)]
GOOD = {
    "val/coarse_acc": 0.9,
    "val/coarse_acc_chance": 0.6,
    "val/coarse_acc_implied_by_fine": 0.9,
    "val/fine_acc": 0.8,
    "val/fine_acc_chance": 0.5,
}


def test_a_head_that_is_as_good_as_what_it_is_held_against_is_not_named():
    assert list(weak_heads(GOOD, HEADS)) == []


@pytest.mark.parametrize(
    ("metrics", "warning"),
    [
        (
            {"val/fine_acc": 0.4999},
            (
                "head fine is at chance: val/fine_acc is 0.4999, and naming one class may have "
                "0.5000 by luck"
            ),
        ),
        (
            {"val/coarse_acc": 0.85},
            (
                "head coarse is below what head fine implies: val/coarse_acc is 0.8500, and "
                "fine's predictions imply it with 0.9000"
            ),
        ),
    ],
)
def test_a_weak_head_is_named_with_both_numbers(metrics, warning):
    assert list(weak_heads(GOOD | metrics, HEADS)) == [warning]


def test_a_head_that_is_not_predicted_is_not_named():
    assert list(weak_heads({"val/fine_acc": 0.8}, HEADS)) == []
