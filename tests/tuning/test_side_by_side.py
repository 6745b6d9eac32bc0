from dataclasses import replace

import pytest

from mhray.errors import StudyConflictError
from mhray.training.epoch_row import EpochRow
from mhray.tuning.comparison import interval
from mhray.tuning.page.material import Material
from mhray.tuning.record import TrialRecord
from mhray.tuning.side_by_side import contrast, how_compared, side_by_side

DATA = {"fingerprint": "f00d", "seed": 0, "val_fraction": 0.1}


@pytest.fixture
def a_material(a_study):
    """A study whose trials have drawn these learning rates and reached these accuracies."""

    def make(name, reached, data=DATA):
        records = [_a_record(number, *each) for number, each in enumerate(reached.items())]
        return Material(a_study(name=name), tuple(records), data, {})

    return make


def _a_record(number, lr, accuracy):
    metrics = {"val/left_acc": accuracy, "val/left_loss": 1.0, "val/acc_mean": accuracy}
    row = EpochRow(1, metrics, accuracy, 1.0, 0.0)
    overrides = (f"model.optimizer.lr={lr}",)
    return TrialRecord(number, "COMPLETE", overrides, 1, {}, (row,), "", "", 1, "", {})


def test_trials_that_drew_the_same_are_compared_pair_by_pair(a_material):
    first = a_material("a", {1e-3: 0.5, 2e-3: 0.6, 3e-3: 0.7, 4e-3: 0.99})
    other = a_material("b", {3e-3: 0.74, 2e-3: 0.62, 1e-3: 0.53})
    found = contrast(first, other, "val/acc_mean")
    expected = interval([0.03, 0.02, 0.04])
    assert found.pairs == 3
    assert found.change == pytest.approx(expected.mean)
    assert (found.low, found.high) == pytest.approx(
        (expected.mean - expected.half, expected.mean + expected.half)
    )


def test_other_seeds_make_no_pair(a_material):
    first = a_material("a", {1e-3: 0.5, 2e-3: 0.6})
    other = replace(first, records=tuple(replace(one, seed=2) for one in first.records))
    assert contrast(first, other, "val/acc_mean").pairs == 0


def test_without_pairs_the_best_are_compared_with_a_bootstrap(a_material):
    first = a_material("a", {i * 1e-4 + 3e-6: 0.50 + i / 1000 for i in range(1, 31)})
    other = a_material("b", {i * 1e-5: 0.60 + i / 1000 for i in range(1, 31)})
    found = contrast(first, other, "val/acc_mean")
    assert (found.pairs, found.change) == (0, pytest.approx(0.1))
    assert 0.08 < found.low < 0.1 < found.high < 0.12
    assert contrast(first, other, "val/acc_mean") == found


def test_a_table_has_the_best_of_each_study_and_what_separates_them(a_material):
    first = a_material("a", {1e-3: 0.5, 2e-3: 0.6})
    header, rows = side_by_side([first, a_material("b", {1e-3: 0.6, 2e-3: 0.7})])
    assert header == ["", "a\ntrial 1", "b\ntrial 1", "b\n- a"]
    assert rows == [
        ["val/left_acc", "60.0 %", "70.0 %", "+10.0 points\n[+10.0, +10.0]"],
        ["val/acc_mean", "60.0 %", "70.0 %", "+10.0 points\n[+10.0, +10.0]"],
    ]


def test_how_studies_were_compared_is_said(a_material):
    first = a_material("a", {1e-3: 0.5, 2e-3: 0.6})
    paired, unpaired = how_compared(
        [first, a_material("b", {1e-3: 0.6, 2e-3: 0.7}), a_material("c", {5e-3: 0.6})]
    )
    assert paired.startswith(
        "b - a: mean difference over 2 pairs of trials that drew the same values"
    )
    assert unpaired.startswith("c - a: difference of the best trials. Fewer than 2 trials")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("fingerprint", "cafe", "fingerprint: f00d and cafe"),
        ("seed", 1, "seed: 0 and 1"),
        ("val_fraction", 0.2, "val_fraction: 0.1 and 0.2"),
    ],
)
def test_studies_of_other_data_are_refused(a_material, key, value, told):
    other = a_material("b", {1e-3: 0.6}, {**DATA, key: value})
    with pytest.raises(StudyConflictError) as refused:
        side_by_side([a_material("a", {1e-3: 0.5}), other])
    assert str(refused.value) == (
        f"a and b: their data differ ({told}), so their accuracies do; compare studies of the same "
        "data and split"
    )


def test_studies_with_another_select_or_no_complete_trial_are_refused(a_material, a_study):
    first = a_material("a", {1e-3: 0.5})
    other = replace(first, study=a_study(name="b", select={"maximize": "val/left_acc"}))
    with pytest.raises(StudyConflictError, match="they chose their best by val/acc_mean and val/l"):
        side_by_side([first, other])
    with pytest.raises(
        StudyConflictError, match=r"^b: no trial is complete; compare it once one is$"
    ):
        side_by_side([first, a_material("b", {})])
