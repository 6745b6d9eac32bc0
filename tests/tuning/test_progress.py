import io
from dataclasses import replace

import pytest
from rich.console import Console

from mhray.training.epoch_row import EpochRow
from mhray.training.selection import Selection
from mhray.tuning.console import console_on
from mhray.tuning.progress import Progress
from mhray.tuning.record import TrialRecord
from mhray.tuning.standings import Standings
from mhray.tuning.time_left import TimeLeft

SHOWN = {"left_acc": "left", "right_acc": "right", "acc_mean": "mean"}
EIGHT = {f"{word}_acc": word for word in ("a", "be", "sea", "delta", "echo", "fox", "golf", "hot")}
BY_MEAN = Selection("val/acc_mean", "max")


def a_row(epoch, value, shown=SHOWN):
    metrics = {f"val/{name}": value + 0.001 * place for place, name in enumerate(shown)}
    return EpochRow(epoch, {**metrics, "val/acc_mean": value}, value, 1.0, 0.0)


def a_record(number, state, *values, failure="", shown=SHOWN):
    rows = tuple(a_row(epoch, value, shown) for epoch, value in enumerate(values, 1))
    return TrialRecord(number, state, (), 0, {}, rows, "", "", 1, failure, {})


@pytest.fixture
def out():
    return io.StringIO()


@pytest.fixture
def progress_on(out, a_study):
    """Progress of a study of four trials of two epochs, written into ``out``."""

    def make(past=(), shown=SHOWN, selection=BY_MEAN, **options):
        options = {"width": 200, "soft_wrap": True, "highlight": False, **options}
        study = a_study(budget={"trials": 4})
        standings = Standings(selection, shown, 4, past)
        time_left = TimeLeft(study, 2, 2, list(past), None, 0.0)
        return Progress(Console(file=out, **options), standings, time_left, 2)

    return make


def test_a_log_gets_one_line_per_event(out, progress_on):
    progress = progress_on()
    with progress.shown():
        progress.trial_started(a_record(0, "RUNNING"))
        progress.epoch_ended(0, a_row(1, 0.25))
        progress.trial_ended(a_record(0, "PRUNED", 0.25))
        progress.trial_started(a_record(1, "RUNNING", 0.5))
        progress.trial_retried(1, "killed")
        progress.trial_ended(a_record(1, "FAIL", failure="Traceback\nValueError: [why]"))
    assert [line.split(" (")[0] for line in out.getvalue().splitlines()] == [
        "trial 0 started",
        "trial 0 epoch 1: left 0.250  right 0.251  mean 0.250",
        "trial 0 stopped at epoch 1",
        "trial 1 started, again from epoch 1",
        "trial 1 failed and is tried again: killed",
        "trial 1 failed: ValueError: [why]",
    ]


def test_a_head_that_a_trial_does_not_predict_has_no_value(out, progress_on):
    progress = progress_on()
    progress.trial_started(a_record(0, "RUNNING"))
    row = a_row(1, 0.25)
    del row.metrics["val/right_acc"]
    progress.epoch_ended(0, row)
    assert out.getvalue().splitlines()[1] == "trial 0 epoch 1: left 0.250  mean 0.250"


def test_the_summary_counts_earlier_starts_and_names_the_best_complete_trial(progress_on):
    progress = progress_on([a_record(0, "COMPLETE", 0.5, 0.4), a_record(1, "PRUNED", 0.9)])
    progress.trial_started(a_record(2, "RUNNING"))
    assert progress.summary() == (
        "1 done, 1 running, 1 stopped, 0 failed of 4",
        "best: trial 0 with val/acc_mean 0.5000",
        "time left: not known yet",
    )


def test_a_trial_that_predicts_fewer_heads_than_others_is_not_the_best(progress_on):
    alone = a_record(0, "COMPLETE", 0.9)
    del alone.epochs[0].metrics["val/right_acc"]
    progress = progress_on([alone, a_record(1, "COMPLETE", 0.5)])
    assert progress.summary()[1] == "best: trial 1 with val/acc_mean 0.5000"


def test_the_best_of_a_head_may_be_any_trials(progress_on):
    progress = progress_on([a_record(0, "COMPLETE", 0.5, 0.4), a_record(1, "PRUNED", 0.9)])
    progress.trial_started(a_record(2, "RUNNING"))
    progress.epoch_ended(2, replace(a_row(1, 0.5), metrics={"val/left_acc": 0.95}))
    assert progress.standings.best_of["left_acc"] == (2, 0.95)
    assert progress.standings.best_of["right_acc"] == (1, 0.901)


def test_an_error_that_trials_are_judged_by_is_shown_and_best_where_it_is_smallest(
    out, progress_on
):
    judged = SHOWN | {"right_mae": "right_mae"}
    progress = progress_on(shown=judged, selection=Selection("val/right_mae", "min"))
    for number, error in enumerate((1.5, 0.75, 1.0)):
        row = EpochRow(1, a_row(1, 0.25).metrics | {"val/right_mae": error}, error, 1.0, 0.0)
        progress.trial_started(a_record(number, "RUNNING"))
        progress.epoch_ended(number, row)
        progress.trial_ended(replace(a_record(number, "COMPLETE"), epochs=(row,)))
    assert progress.summary()[1] == "best: trial 1 with val/right_mae 0.7500"
    assert progress.standings.best_of["right_mae"] == (1, 0.75)
    assert out.getvalue().splitlines()[1].endswith("mean 0.250  right_mae 1.500")


@pytest.fixture
def picture(out, progress_on):
    """The lines of a terminal's live picture of two running trials."""

    def draw(shown, width, height=24, running=2):
        progress = progress_on(
            [a_record(0, "COMPLETE", 0.5, shown=shown)],
            shown,
            width=width,
            height=height,
            force_terminal=True,
            color_system=None,
            soft_wrap=False,
        )
        for number in range(1, running + 1):
            progress.trial_started(a_record(number, "RUNNING", 0.25, shown=shown))
        out.truncate(out.seek(0))
        progress.console.print(progress.picture())
        return out.getvalue().splitlines()

    return draw


def test_three_heads_stand_beside_each_other_in_80_columns(picture):
    lines = picture(SHOWN, 80)
    assert lines[:3] == [
        "1 done, 2 running, 0 stopped, 0 failed of 4",
        "best: trial 0 with val/acc_mean 0.5000",
        "time left: not known yet",
    ]
    assert "left 0.500 (trial 0)" in lines[3]
    assert any(line.split() == ["1", "1/2", "0.250", "0.251", "0.250"] for line in lines)


def test_eight_heads_show_their_extremes_in_80_columns_and_all_in_a_wide_terminal(picture):
    heads = EIGHT | {f"{word * 3}_acc": word * 3 for word in ("delta", "echo", "golf")}
    narrow = picture(heads, 80)
    assert any(
        line.split() == ["2", "1/2", "0.250", "a", "0.250", "golf" * 3, "0.260"] for line in narrow
    )
    wide = picture(heads, 160)
    assert any(len(line.split()) == 2 + len(heads) for line in wide)
    assert max(map(len, narrow)) <= 80 < max(map(len, wide)) <= 160


@pytest.mark.parametrize("heads", [SHOWN, EIGHT, EIGHT | {f"{'x' * 70}_acc": "x" * 70}])
def test_nothing_is_cut_off_in_a_small_terminal(picture, heads):
    text = "".join(picture(heads, 80))
    assert "…" not in text
    assert text.count("(trial 0)") == len(heads)


def test_more_trials_than_there_are_lines_are_counted(picture):
    lines = picture(SHOWN, 80, running=60)
    assert len(lines) <= 24
    assert lines[-1].strip().startswith("and ")


def test_a_terminal_gets_the_picture_and_no_lines(out, progress_on, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    progress = progress_on(force_terminal=True, force_interactive=True)
    with progress.shown():
        progress.trial_started(a_record(0, "RUNNING"))
    assert "0/2" in out.getvalue()
    assert "trial 0 started" not in out.getvalue()


@pytest.mark.parametrize("name", ["FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"])
def test_a_log_has_no_control_characters_whatever_the_environment_says(
    out, monkeypatch, name, a_study
):
    monkeypatch.setenv(name, "1")
    standings = Standings(BY_MEAN, SHOWN, 4, [])
    progress = Progress(console_on(out), standings, TimeLeft(a_study(), 2, 2, [], None, 0.0), 2)
    with progress.shown():
        progress.trial_started(a_record(0, "RUNNING"))
        progress.trial_ended(a_record(0, "PRUNED", 0.25))
    assert out.getvalue().count("\n") == 2
    assert out.getvalue().replace("\n", "").isprintable()


def test_what_comes_beyond_the_budget_counts_with_it():
    standings = Standings(BY_MEAN, SHOWN, 2, [a_record(0, "COMPLETE", 0.5)])
    totals = []
    for number in (1, 2):
        standings.started(a_record(number, "RUNNING"))
        totals.append(standings.total)
    assert totals == [2, 3]
