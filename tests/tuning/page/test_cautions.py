from dataclasses import replace

import pytest

from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation
from mhray.tuning.page.cautions import FAILURES, cautions_of
from mhray.tuning.page.head_table import head_table


def changed(material, number, **fields):
    records = tuple(
        replace(one, **fields) if one.number == number else one for one in material.records
    )
    return replace(material, records=records)


def with_drawn(material, path, value):
    best = material.best
    kept = [each for each in best.overrides if not each.startswith(f"{path}=")]
    return changed(material, best.number, overrides=(*kept, f"{path}={value}"))


def test_a_study_without_trouble_has_no_warning(a_material):
    assert cautions_of(a_material(60)) == []


@pytest.mark.parametrize(
    ("value", "end"), [("0.0001", "lower"), ("0.00998", "upper"), ("0.001", "")]
)
def test_a_value_at_the_end_of_its_range_is_named(a_material, value, end):
    found = cautions_of(with_drawn(a_material(60), "model.optimizer.lr", value))
    assert [f"at the {end} end of its range [0.0001, 0.01]" in one for one in found] == [
        True
    ] * bool(end)


def test_a_weight_at_its_floor_is_named_but_none_at_what_the_others_leave(a_material):
    material = with_drawn(a_material(60), "model.loss_weights.left", "0.05")
    assert "model.loss_weights.left" in cautions_of(material)[0]
    assert cautions_of(with_drawn(a_material(60), "model.loss_weights.left", "2.9")) == []


def test_a_space_that_few_trials_have_seen_is_named(a_material):
    [told] = cautions_of(a_material(27))
    assert told == (
        "18 complete trials for 4 searched values: with fewer than 20, much of the space was not "
        "seen."
    )


def test_a_head_at_chance_is_named(a_material):
    material = a_material(60)
    rows = tuple(
        replace(row, metrics={**row.metrics, "val/sum_acc_chance": 0.99})
        for row in material.best.epochs
    )
    told = cautions_of(changed(material, material.best.number, epochs=rows))[0]
    assert told.startswith(
        f"Of trial {material.best.number}, head sum is at chance: val/sum_acc is"
    )


def test_failed_trials_are_named(a_material):
    material = changed(a_material(60), 2, state="FAIL")
    assert cautions_of(changed(material, 5, state="FAIL")) == [
        f"Failed, and part of nothing here: trials 2 and 5; why is in {FAILURES}."
    ]


def test_a_study_that_has_not_ended_says_so(a_material):
    material = a_material(60)
    assert cautions_of(replace(material, records=material.records[:50])) == [
        "The study has not ended: 50 of 60 trials have."
    ]


def test_a_work_tree_with_changes_is_named(a_material):
    told = cautions_of(a_material(60, origin={"commit": "0123-dirty"}))
    assert told[0].startswith("It was started from a work tree with changes")


def test_each_model_that_the_test_batch_has_seen_counts(a_material, words):
    material = a_material(60)
    best = material.best.number
    for number in (0, 3, best):
        material = changed(material, number, test={"test/acc_mean": 0.5})
    assert "This study has shown 3 models to the test batch." in words([head_table(material)])
    assert cautions_of(material)[0].startswith(
        "This study has shown 3 models to the test batch: trial 3 won before it went on, and "
        f"trial {best} wins now."
    )


@pytest.fixture
def confirmed(a_material):
    """A study whose candidates all have fresh runs with this accuracy of left."""

    def make(left):
        material, confirm = a_material(60), Confirm(top=1, seeds=2, max_seeds=2)
        known = (material.study, confirm, material.records)
        [row] = material.best.epochs[-1:]
        rows = (replace(row, metrics={**row.metrics, "val/left_acc": left}),)
        state = Confirmation(*known, ())
        runs = [
            replace(
                material.best, number=0, candidate=name, overrides=one.with_seed(seed), epochs=rows
            )
            for name, one in state.candidates.all.items()
            for seed in state.seeds
        ]
        return replace(material, confirmation=Confirmation(*known, runs), runs=tuple(runs))

    return make


def test_a_confirmed_winner_is_warned_of_and_not_the_best_of_the_search(confirmed):
    assert cautions_of(confirmed(0.5)) == []
    material = confirmed(0.05)
    name = material.confirmation.winner.name
    assert cautions_of(material)[0].startswith(f"Of {name}, head left is at chance: val/left_acc")


@pytest.mark.parametrize("confirms_no_more", [False, True])
def test_each_run_with_a_fresh_seed_that_the_test_batch_has_seen_counts(
    confirmed, confirms_no_more
):
    material = confirmed(0.5)
    runs = tuple(replace(run, test={"test/acc_mean": 0.5}) for run in material.runs[:3])
    material = replace(material, runs=runs)
    material = replace(material, confirmation=None) if confirms_no_more else material
    assert cautions_of(material)[0].startswith(
        "This study has shown 3 models to the test batch: some won before it went on."
    )
