import io
from dataclasses import replace

import pytest
from rich.console import Console

from mhray.training.epochs import EpochRow, Selection
from mhray.tuning.progress import Progress
from mhray.tuning.record import TrialRecord

SHOWN = {"left_acc": "left", "right_acc": "right", "acc_mean": "mean"}


def a_row(epoch, value):
    metrics = {"val/left_acc": value, "val/right_acc": value, "val/acc_mean": value}
    return EpochRow(epoch, metrics, value, 1.0, 0.0)


def a_record(number, state, *values, failure=""):
    rows = tuple(a_row(epoch, value) for epoch, value in enumerate(values, 1))
    return TrialRecord(number, state, (), 0, {}, rows, "", "", 1, failure, {})


@pytest.fixture
def out():
    return io.StringIO()


def progress_on(out, past=(), **options):
    console = Console(file=out, width=200, soft_wrap=True, highlight=False, **options)
    return Progress(console, Selection("val/acc_mean", "max"), SHOWN, 4, 2, list(past))


def test_a_log_gets_one_line_per_event(out):
    progress = progress_on(out)
    with progress.shown():
        progress.trial_started(a_record(0, "RUNNING"))
        progress.epoch_ended(0, a_row(1, 0.25))
        progress.trial_ended(a_record(0, "PRUNED", 0.25))
        progress.trial_started(a_record(1, "RUNNING", 0.5))
        progress.trial_retried(1, "killed")
        progress.trial_ended(a_record(1, "FAIL", failure="Traceback\nValueError: [why]"))
    assert [line.split(" (")[0] for line in out.getvalue().splitlines()] == [
        "trial 0 started",
        "trial 0 epoch 1: left 0.250  right 0.250  mean 0.250",
        "trial 0 stopped at epoch 1",
        "trial 1 started, again from epoch 1",
        "trial 1 failed and is tried again: killed",
        "trial 1 failed: ValueError: [why]",
    ]


def test_a_head_that_a_trial_does_not_predict_has_no_value(out):
    row = a_row(1, 0.25)
    del row.metrics["val/right_acc"]
    progress_on(out).epoch_ended(0, row)
    assert out.getvalue() == "trial 0 epoch 1: left 0.250  mean 0.250\n"


def test_the_summary_counts_earlier_starts_and_names_the_best_complete_trial(out):
    past = [a_record(0, "COMPLETE", 0.5, 0.4), a_record(1, "PRUNED", 0.9)]
    assert progress_on(out, past).summary() == (
        "1 done, 1 stopped, 0 failed of 4; best: trial 0 with val/acc_mean 0.5000; "
        "time left: not known yet"
    )


def test_a_trial_that_predicts_fewer_heads_than_others_is_not_the_best(out):
    alone = a_record(0, "COMPLETE", 0.9)
    del alone.epochs[0].metrics["val/right_acc"]
    past = [alone, a_record(1, "COMPLETE", 0.5)]
    assert "best: trial 1 with val/acc_mean 0.5000" in progress_on(out, past).summary()


def test_the_time_left_follows_from_the_trials_that_ended(out):
    progress = progress_on(out)
    progress.trial_ended(a_record(0, "COMPLETE", 0.5))
    assert progress.time_left() == "time left: about 0 s"


def test_a_terminal_gets_a_table_of_running_trials(out):
    progress = progress_on(out, force_terminal=True)
    with progress.shown():
        progress.trial_started(a_record(0, "RUNNING"))
        progress.trial_started(a_record(1, "RUNNING", 0.5))
    shown = out.getvalue()
    assert "0/2" in shown
    assert "starting" in shown
    assert "left 0.500  right 0.500  mean 0.500" in shown
    assert "trial 0 started" not in shown


def test_an_error_that_trials_are_judged_by_is_shown_and_best_where_it_is_smallest(out):
    console = Console(file=out, width=200, soft_wrap=True, highlight=False)
    selection = Selection("val/right_mae", "min")
    progress = Progress(console, selection, SHOWN | {"right_mae": "right_mae"}, 4, 2, [])
    for number, error in enumerate((1.5, 0.75, 1.0)):
        row = EpochRow(1, a_row(1, 0.25).metrics | {"val/right_mae": error}, error, 1.0, 0.0)
        progress.epoch_ended(number, row)
        progress.trial_ended(replace(a_record(number, "COMPLETE"), epochs=(row,)))
    assert "best: trial 1 with val/right_mae 0.7500" in progress.summary()
    assert out.getvalue().splitlines()[0] == (
        "trial 0 epoch 1: left 0.250  right 0.250  mean 0.250  right_mae 1.500"
    )
