import io
from dataclasses import replace

import pytest
from rich.console import Console

from mhray.heads import Head
from mhray.training.epoch_row import EpochRow
from mhray.training.selection import Selection
from mhray.tuning.record import TrialRecord
from mhray.tuning.report import (
    best_of,
    failed_line,
    front_line,
    front_of,
    print_result,
    trials_to_test,
)

SELECTION = Selection("val/acc_mean", "max")
SHOWN = {"left_acc": "left", "right_acc": "right", "acc_mean": "mean"}


def a_record(number, state, left, right, test=None):
    mean = (left + right) / 2
    metrics = {"val/left_acc": left, "val/right_acc": right, "val/acc_mean": mean}
    row = EpochRow(1, metrics, mean, 1.0, 0.0)
    overrides = ("experiment=cifar100mh_cnn", "model.net.name=a b")
    return TrialRecord(number, state, overrides, 12345, {}, (row,), "", "", 1, "", test or {})


def printed(study, records, shown=SHOWN, **options):
    out = io.StringIO()
    print_result(Console(file=out, width=200, soft_wrap=True), study, records, shown, **options)
    return out.getvalue()


def cells_of(text, word):
    row = next(line for line in text.splitlines() if f" {word} " in line)
    return [cell.strip() for cell in row.strip("│").split("│")]


def test_only_a_complete_trial_can_be_the_best():
    records = [
        a_record(0, "COMPLETE", 0.2, 0.2),
        a_record(1, "PRUNED", 0.9, 0.9),
        a_record(2, "COMPLETE", 0.3, 0.3),
        a_record(3, "COMPLETE", 0.3, 0.3),
    ]
    assert best_of(records, SELECTION).number == 2
    assert best_of(records[1:2], SELECTION) is None


def test_a_trial_that_predicts_fewer_heads_than_others_is_not_the_best():
    records = [a_record(0, "COMPLETE", 0.9, 0.9), a_record(1, "COMPLETE", 0.2, 0.2)]
    for record in records:
        record.epochs[0].metrics.update({"val/left_loss": 1.0, "val/right_loss": 1.0})
    del records[0].epochs[0].metrics["val/right_loss"]
    assert best_of(records, SELECTION).number == 1


def test_the_front_holds_what_no_other_trial_beats_on_every_objective(a_study):
    study = a_study(objectives=[{"maximize": "val/left_acc"}, {"maximize": "val/right_acc"}])
    points = [(0.2, 0.2), (0.9, 0.1), (0.1, 0.9), (0.8, 0.1), (0.9, 0.1)]
    records = [a_record(number, "COMPLETE", *point) for number, point in enumerate(points)]
    assert [record.number for record in front_of(records, study)] == [0, 1, 2, 4]


def test_a_minimised_objective_counts_the_other_way(a_study):
    study = a_study(objectives=[{"minimize": "val/left_acc"}])
    records = [a_record(n, "COMPLETE", left, 0.5) for n, left in enumerate((0.3, 0.2))]
    assert [record.number for record in front_of(records, study)] == [1]


def test_the_result_shows_best_and_equal_weights_on_both_splits(a_study):
    test = {"test/left_acc": 0.41, "test/right_acc": 0.42, "test/acc_mean": 0.415}
    records = [a_record(0, "COMPLETE", 0.2, 0.2), a_record(1, "COMPLETE", 0.5, 0.3, test)]
    text = printed(a_study(), records)
    assert "best trial 1 beside trial 0 (equal weights)" in text
    assert text.splitlines()[-1] == (
        "python -m mhray.train experiment=cifar100mh_cnn 'model.net.name=a b' seed=12345"
    )
    assert cells_of(text, "left") == ["left", "0.5000", "0.2000", "0.4100", "-"]


def test_an_error_that_trials_are_judged_by_has_a_row_and_the_smallest_is_the_best(a_study):
    records = [
        replace(a_record(n, "COMPLETE", 0.5, 0.5), epochs=(EpochRow(1, metrics, 0.0, 1.0, 0.0),))
        for n, metrics in enumerate(({"val/right_mae": 1.5}, {"val/right_mae": 0.75}))
    ]
    study = a_study(select={"minimize": "val/right_mae"})
    text = printed(study, records, {"right_mae": "right_mae"})
    assert "best trial 1 beside trial 0" in text
    assert cells_of(text, "right_mae") == ["right_mae", "0.7500", "1.5000", "-", "-"]


def test_the_best_trials_weak_heads_are_warned_of_under_the_table(a_study):
    chances = {"val/left_acc_chance": 0.4, "val/right_acc_chance": 0.4}
    records = [a_record(0, "COMPLETE", 0.1, 0.1), a_record(1, "COMPLETE", 0.5, 0.3)]
    for record in records:
        record.epochs[0].metrics.update(chances)
    text = printed(a_study(), records, heads=[Head("left", 10), Head("right", 10)])
    assert [line for line in text.splitlines() if line.startswith("warning")] == [
        (
            "warning: head right is at chance: val/right_acc is 0.3000, and naming one class "
            "may have 0.4000 by luck"
        )
    ]


def test_trial_0_is_called_what_it_is_when_no_weights_are_searched(a_study):
    study = a_study(search={"model.optimizer.lr": {"uniform": [0.1, 0.2]}})
    assert "trial 0 (the config itself)" in printed(study, [a_record(0, "COMPLETE", 0.2, 0.2)])


def test_several_objectives_show_their_front(a_study):
    study = a_study(objectives=[{"maximize": "val/left_acc"}, {"maximize": "val/right_acc"}])
    assert "Pareto front: trials 0" in printed(study, [a_record(0, "COMPLETE", 0.2, 0.2)])


def test_a_front_of_accuracies_shows_the_room_that_it_takes_above_chance(a_study):
    study = a_study(objectives=[{"maximize": "val/left_acc"}, {"maximize": "val/right_acc"}])
    records = [a_record(0, "COMPLETE", 0.5, 0.2), a_record(1, "COMPLETE", 0.3, 0.6)]
    for record in records:
        record.epochs[0].metrics.update({"val/left_acc_chance": 0.1, "val/right_acc_chance": 0.1})
    line = "Pareto front: trials 0, 1; hypervolume above chance 0.1200"
    assert front_line(records, study) == line
    del records[0].epochs[0].metrics["val/left_acc_chance"]
    assert front_line(records, study) == "Pareto front: trials 0, 1"


@pytest.mark.parametrize("state", ["PRUNED", "FAIL"])
def test_a_study_without_a_complete_trial_says_so(a_study, state):
    assert "no trial is complete" in printed(a_study(), [a_record(0, state, 0.2, 0.2)])


def test_what_each_option_of_a_path_reached_is_shown(a_study):
    options = {name: {"model.net.dropout": {"uniform": [0, 1]}} for name in ("cnn", "vit", "eff")}
    study = a_study(search={"model": {"one_of": options}})
    rows = [("COMPLETE", 0.5, "cnn"), ("PRUNED", 0.6, "cnn"), ("PRUNED", 0.4, "vit")]
    records = [
        replace(a_record(number, state, acc, acc), overrides=(f"model={model}", "seed=1"))
        for number, (state, acc, model) in enumerate(rows)
    ]
    text = printed(study, records)
    assert cells_of(text, "cnn") == ["cnn", "2", "1", "0.6000", "1"]
    assert cells_of(text, "vit") == ["vit", "1", "0", "0.4000", "2"]
    assert cells_of(text, "eff") == ["eff", "0", "0", "-", "-"]


@pytest.fixture
def a_grid(a_study):
    """A study of two rows with two rates and two seeds, and its trials with this accuracy each."""

    def make(*accuracies):
        options = {"weighting": {"choice": ["equal", "dwa"]}, "lr": {"choice": [1, 2]}}
        grid = {"seeds": [0, 1], "tune": ["lr"]}
        records = []
        for number, acc in enumerate(accuracies):
            seed, rest = divmod(number, 4)
            row = (f"weighting={('equal', 'dwa')[rest % 2]}", f"lr={rest // 2 + 1}", f"seed={seed}")
            test = {f"test/{name}": acc for name in ("left_acc", "right_acc", "acc_mean")}
            record = a_record(number, "COMPLETE", acc, acc, test)
            records.append(replace(record, overrides=row, seed=seed))
        return a_study(search=options, sampler={"grid": grid}), records

    return make


def test_a_grid_ends_with_the_best_trials_of_each_row_the_best_trial_and_the_first(a_grid):
    study, records = a_grid(0.5, 0.3, 0.6, 0.2, 0.5, 0.3, 0.6, 0.9)
    # Of dwa, the second rate has the better mean, and the best trial.
    assert trials_to_test(study, records) == [0, 2, 3, 6, 7]
    assert trials_to_test(study, []) == []


def test_a_study_without_a_grid_ends_with_its_best_trial_and_the_first(a_study, a_grid):
    _, records = a_grid(0.5, 0.3, 0.6, 0.2)
    assert trials_to_test(a_study(), records) == [0, 2]


def test_each_row_of_a_grid_is_shown_with_its_intervals(a_grid):
    study, records = a_grid(0.5, 0.3, 0.4, 0.2, 0.6, 0.3)
    text = printed(study, records, heads=[Head("left", 10), Head("right", 10)])
    assert "best trial 4 beside trial 0 (the first)" in text
    assert cells_of(text, "weighting=equal") == ["weighting=equal", "2", *["0.550"] * 3]
    # t is 12.706 for one degree of freedom, and the standard error 0.05.
    assert cells_of(text, "lr=1") == ["lr=1", "", *["± 0.635"] * 3]


def test_a_row_that_lacks_a_head_has_no_mean(a_grid):
    study, records = a_grid(0.5, 0.3, 0.4, 0.2)
    for record in records[1::2]:
        del record.test["test/right_acc"]
    text = printed(study, records, heads=[Head("left", 10), Head("right", 10)])
    assert cells_of(text, "weighting=dwa") == ["weighting=dwa", "1", "0.300", "-", "-"]


def test_failed_trials_are_named_in_a_line(a_record):
    records = [
        a_record(number, 0.5, state=state) for number, state in enumerate(("FAIL", "PRUNED"))
    ]
    assert failed_line([]) == failed_line(records[1:]) == ""
    failed = [*records, a_record(7, state="FAIL")]
    why = "why is in checkpoints/<trial>/failure.txt"
    assert failed_line(failed) == f"failed: trial 0, 7; {why}"
