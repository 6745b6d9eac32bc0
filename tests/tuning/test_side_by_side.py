from dataclasses import replace

import pytest

from mhray.errors import StudyConflictError
from mhray.training.epoch_row import EpochRow
from mhray.tuning.comparison import interval
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation
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


@pytest.fixture
def a_confirmed(a_material):
    """A study of one trial, trained again with the seeds after its own, to these accuracies."""

    def make(name, *reached, seed=1):
        searched = a_material(name, {1e-3: 0.9})
        trials = tuple(replace(one, seed=seed) for one in searched.records)
        own = Confirm(top=1, seeds=2, max_seeds=len(reached))
        [candidate] = Confirmation(searched.study, own, trials, ()).candidates.trials
        runs = [_a_run(candidate, *each) for each in enumerate(reached, seed + 1)]
        state = Confirmation(searched.study, own, trials, runs)
        return replace(searched, records=trials, confirmation=state)

    return make


def _a_run(candidate, seed, accuracy):
    run = _a_record(seed, 1e-3, accuracy)
    return replace(run, overrides=candidate.with_seed(seed), seed=seed, candidate=candidate.name)


def test_confirmed_winners_are_compared_over_the_fresh_seeds_of_both(a_confirmed):
    first = a_confirmed("a", 0.5, 0.6, 0.7)
    found = contrast(first, a_confirmed("b", 0.53, 0.62, 0.74), "val/acc_mean")
    expected = interval([0.03, 0.02, 0.04])
    assert (found.seeds, found.pairs) == (3, 0)
    assert (found.change, found.low, found.high) == pytest.approx(
        (expected.mean, expected.mean - expected.half, expected.mean + expected.half)
    )


def test_the_intervals_of_confirmed_winners_hold_together(a_confirmed):
    header, rows = side_by_side(
        [a_confirmed("a", 0.5, 0.6, 0.7), a_confirmed("b", 0.53, 0.62, 0.74)]
    )
    assert header == ["", "a\ntrial 0\nwith seed 3", "b\ntrial 0\nwith seed 3", "b\n- a"]
    # Student's t of 2 degrees of freedom at 2.5 %, for two metrics, is 6.205.
    assert [row[1:] for row in rows] == [["60.0 %", "62.0 %", "+3.0 points\n[-0.6, +6.6]"]] * 2


@pytest.mark.parametrize("changed", [{"seed": 5}, {"seed": 3}])
def test_confirmed_with_other_seeds_they_are_compared_as_searched(a_confirmed, changed):
    other = a_confirmed("b", 0.53, 0.62, 0.74, **changed)
    found = contrast(a_confirmed("a", 0.5, 0.6, 0.7), other, "val/acc_mean")
    assert (found.seeds, found.change) == (0, 0.0)


def test_with_one_that_is_not_confirmed_both_are_compared_as_searched(a_material, a_confirmed):
    studies = [a_confirmed("a", 0.5, 0.6), a_material("b", {2e-3: 0.8})]
    header, [row, _] = side_by_side(studies)
    assert (header[1], row[1]) == ("a\ntrial 0", "90.0 %")
    assert how_compared(studies)[0].startswith("b - a: difference of the best trials of the search")


def test_how_studies_were_compared_is_said(a_material):
    first = a_material("a", {1e-3: 0.5, 2e-3: 0.6})
    paired, unpaired = how_compared(
        [first, a_material("b", {1e-3: 0.6, 2e-3: 0.7}), a_material("c", {5e-3: 0.6})]
    )
    assert paired.startswith(
        "b - a: mean difference over 2 pairs of trials that drew the same values"
    )
    assert unpaired.startswith(
        "c - a: difference of the best trials of the search. Fewer than 2 trials"
    )


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
