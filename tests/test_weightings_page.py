"""The study of weightings, and the page about it: made of a real journal, on numbers by hand."""

import re
import runpy

import pytest

from mhray.errors import StorageError
from mhray.heads import Head
from mhray.training.epoch_row import EpochRow
from mhray.training.project import shipped_directory
from mhray.tuning.comparison import setting_of
from mhray.tuning.grid import seed_of
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.study import dump_study
from mhray.tuning.study_file import load_study
from mhray.tuning.trial_overrides import overrides_of, samples_of

ROOT = shipped_directory()
STUDY = ROOT / "configs" / "sweep_weightings.yaml"
HEADS = (Head("left", 10), Head("sum", 19))
SEARCH = (
    "search={weighting: {one_of: {equal: {model.train_heads: {choice: [null, left]}}, dwa: {}}}, "
    "model.optimizer.lr: {choice: [1, 2, 3]}}"
)
GRID = "sampler.grid={seeds: [0, 1], tune: [model.optimizer.lr]}"
# By row and seed at its best rate: left, sum and mean on test; then that rate.
EQUAL, ALONE, DWA = range(3)
FOUND = {
    (EQUAL, 0): (0.50, 0.30, 0.40),
    (EQUAL, 1): (0.54, 0.32, 0.43),
    (ALONE, 0): (0.60, None, 0.60),
    (ALONE, 1): (0.64, None, 0.64),
    (DWA, 0): (0.49, 0.34, 0.415),
    (DWA, 1): (0.53, 0.32, 0.425),
}
BEST_RATE = {EQUAL: 2, ALONE: 3, DWA: 2}
# Another rate is worse on validation. That it is better on test must not matter.
ELSEWHERE = (0.99, 0.99, 0.99)


def shipped(*overrides):
    return load_study(STUDY, overrides, ROOT).study


@pytest.fixture
def study(tmp_path):
    """Three rows with three rates and two seeds, in a journal that is quickly written."""
    where = f"journal=journal-file:{tmp_path}/journal"
    return shipped(SEARCH, GRID, "base={trainer.max_epochs: 1}", "budget.trials=18", where)


@pytest.fixture
def page(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks" / "weightings_page.py"))["page"]


@pytest.fixture
def journal_of(tmp_path):
    """The study's journal after so many trials; those of `failed` numbers have failed."""

    def make(study, count, failed=()):
        journal = Journal.open(study, tmp_path)
        journal.begin(dump_study(study), {}, {"commit": "f00d"})
        for number in range(count):
            journal.describe(*asked(journal, study), seed_of(study, number))
            if number in failed:
                journal.end(number, "FAIL", failure="why")
            else:
                complete(journal, study, number)
        return journal

    return make


def asked(journal, study):
    trial = journal.ask(sampler_of(study, 0))
    return trial.number, overrides_of(study, trial)


def complete(journal, study, number):
    seed, rest = divmod(number, 9)
    rate, row = divmod(rest, 3)
    is_best = BEST_RATE[row] == rate + 1
    tested = FOUND[row, seed] if is_best else ELSEWHERE
    named = zip(("test/left_acc", "test/sum_acc", "test/acc_mean"), tested, strict=True)
    journal.add_epoch(number, EpochRow(1, {"val/acc_mean": float(is_best)}, 0.0, 1800.0, 0.0))
    journal.end(number, "COMPLETE", value=float(is_best))
    journal.set_test(number, {name: value for name, value in named if value is not None})


def test_the_page_has_each_row_at_its_best_rate_and_its_difference_to_equal(
    study, journal_of, page
):
    text = page(study, journal_of(study, 18), HEADS)
    assert "18 of 18 trials have ended, 18 of them after all of their 1 epochs" in text
    assert "seeds are 0, 1. " in text
    assert "The learning rates 1, 2, 3 were tried for every row alike" in text
    # t is 12.706 for one degree of freedom: half of 0.04 times that, and so on.
    assert (
        """
| row | chosen | left | sum | mean | seeds |
| --- | --- | --- | --- | --- | --- |
| `equal` | `lr=2` | 0.520 ± 0.254 | 0.310 ± 0.127 | 0.415 ± 0.191 | 2 |
| `left` alone | `lr=3` | 0.620 ± 0.254 |  |  | 2 |
| `dwa` | `lr=2` | 0.510 ± 0.254 | 0.330 ± 0.127 | 0.420 ± 0.064 | 2 |
"""
        in text
    )
    assert (
        """
| row | left | sum | mean |
| --- | --- | --- | --- |
| `left` alone | **+10.0 ± 0.0** |  |  |
| `dwa` | **-1.0 ± 0.0** | +2.0 ± 25.4 | +0.5 ± 12.7 |

* left: better than `equal`: `left` alone; worse: `dwa`.
* sum: not told apart: `dwa`.
* mean: not told apart: `dwa`.

2 of 4 differences are bold. If no row differed from another, one in 20 would be, so about 0 here.

The rate is the smallest or the largest of those tried for: `left` alone.

First started at commit f00d; 9.0 hours of training, over all trials.
"""
        in text
    )


def test_rows_without_a_complete_trial_and_rows_with_fewer_seeds_are_named(study, journal_of, page):
    failed = [*range(2, 17, 3), *range(9, 17, 3)]  # all of dwa, and equal with the second seed
    text = page(study, journal_of(study, 17, failed), HEADS)
    assert "17 of 18 trials have ended, 9 of them" in text
    assert "| `equal` | `lr=2` | 0.500 | 0.300 | 0.400 | 1 |" in text
    assert "| `left` alone | +10.0 |  |  |" in text
    assert "No trial is complete of: `dwa`." in text
    assert "Fewer seeds than the others have: `equal`." in text


def test_a_study_without_equal_weights_has_nothing_to_be_compared_with(study, journal_of, page):
    text = page(study, journal_of(study, 2, failed=[0]), HEADS)
    assert "No trial is complete of: `equal`, `dwa`." in text
    assert "0 of 0 differences are bold" in text


@pytest.mark.parametrize("trials", [0, 1])
def test_a_study_without_a_complete_trial_has_no_page(study, journal_of, page, trials):
    with pytest.raises(StorageError, match="no trial of the study weightings is complete; run it"):
        page(study, journal_of(study, trials, failed=[0]), HEADS)


def test_a_head_that_another_implies_is_said_to_be_predicted(study, journal_of, page):
    heads = (Head("left", 10), Head("sum", 19, implied_by=("left",)))
    told = "It predicts what that head implies as well: left tells sum."
    assert told in page(study, journal_of(study, 9), heads)


def rows_in(study, trials):
    return [setting_of(study, overrides)[0] for overrides in samples_of(study, trials)]


def test_the_study_has_every_weighting_and_every_head_alone_with_the_same_rates_and_seeds():
    study = shipped()
    rows = rows_in(study, study.budget.trials)
    rest = {row: rows.count(row) for row in rows}
    names = {path.stem for path in (ROOT / "configs" / "weighting").glob("*.yaml")} - {"equal"}
    alone = [f"model.train_heads={head}" for head in ("null", "left", "right", "sum")]
    others = {(f"weighting={name}",) for name in names}
    assert set(rest) == {("weighting=equal", each) for each in alone} | others
    # Three rates with five seeds; of fixed weights there are two.
    assert rest.pop(("weighting=fixed",)) == 30
    assert set(rest.values()) == {15}


def test_the_short_form_has_a_trial_of_each_row():
    script = (ROOT / ".ci" / "short_sweeps").read_text()
    trials = int(re.search(r"sweep_weightings.yaml.*?trials=(\d+)", script, re.DOTALL)[1])
    study = shipped()
    assert set(rows_in(study, trials)) == set(rows_in(study, study.budget.trials))
