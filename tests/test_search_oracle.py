"""The search on tables, in short: that it finds, what it tells its sampler, and that time is right.

The long form is `make oracle`.
"""

import argparse
import importlib
import json
import statistics
from functools import cache

import pytest

from mhray.training.project import shipped_directory

ROOT = shipped_directory()
NAS = "NAS-Bench-201"
SEEDS = range(2)


@pytest.fixture(scope="module")
def oracle():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("search_oracle")


@pytest.fixture(scope="module")
def sides(oracle):
    return {side.name: side for side in oracle.SIDES}


@pytest.fixture(scope="module")
def kinds(oracle):
    return {kind.name: kind for kind in oracle.KINDS}


@pytest.fixture(scope="module")
def table(oracle):
    """Makes a table by its name, once."""
    return cache(lambda name: oracle.SOURCES[name].table(name))


@pytest.fixture(scope="module")
def nas(table):
    return table(NAS)


@pytest.mark.parametrize(
    ("name", "heads", "front"), [(NAS, 3, 4), ("HPOLib", 4, 91), ("HPOBench-MLP", 8, 675)]
)
def test_each_table_has_its_known_front(table, name, heads, front):
    assert (len(table(name).heads), len(table(name).front)) == (heads, front)


def regrets(found):
    return statistics.mean(each["mean_regret"] for each in found)


def test_the_search_finds_much_more_than_random_draws_do(oracle, sides, nas):
    plan = oracle.Plan(27, 100, 1, stops=False)
    ours, random = (
        [oracle.one_replay(sides[name], nas, None, seed, plan) for seed in SEEDS]
        for name in ("mhray", "random search")
    )
    assert regrets(ours) < 0.5  # points of accuracy
    assert regrets(random) > 1.0
    assert all(each["told"] == {"complete": 100, "pruned": 0} for each in ours)
    assert all(each["full"] == 100 and each["front_found"] for each in ours)


def test_with_stopping_the_search_gets_as_far_with_a_fifth_of_the_epochs(oracle, sides, kinds, nas):
    plan = oracle.Plan(27, 20, 4, stops=True)
    curves = kinds["no crossing"]
    ours = [oracle.one_replay(sides["mhray"], nas, curves, seed, plan) for seed in SEEDS]
    assert regrets(ours) < 1.0


@pytest.mark.parametrize("seed", [3, 8])
def test_stopped_trials_do_not_make_worse_ones_look_good(oracle, sides, kinds, nas, seed):
    # Two of the seeds that show it best. With TPE as Optuna has it 1.7 and 2.9 remain: some of the
    # first trials to end are not good, and draw the search to where they are.
    plan = oracle.Plan(27, 60, 4, stops=True)
    found = oracle.one_replay(sides["mhray"], nas, kinds["crossing"], seed, plan)
    assert found["mean_regret"] < 1.0  # points of accuracy


def test_only_trials_of_a_full_length_are_told_as_complete(oracle, sides, kinds, nas):
    plan = oracle.Plan(27, 10, 4, stops=True)
    found = oracle.one_replay(sides["mhray"], nas, kinds["crossing"], 0, plan)
    assert found["told"]["complete"] == found["full"] < found["told"]["pruned"]
    theirs = oracle.one_replay(sides["Ray's OptunaSearch"], nas, kinds["crossing"], 0, plan)
    assert theirs["told"]["complete"] > 2 * theirs["full"]
    assert theirs["told"]["pruned"] == 0


class Scripted:
    """Stops the trials of these numbers at their first look."""

    def __init__(self, *stopped):
        self.stopped, self.heard = stopped, []

    def suggest(self, key):
        return dict.fromkeys((f"Op{index}" for index in range(6)), int(key) % 5)

    def goes_on(self, key, epoch):
        self.heard.append((key, epoch.number))
        return int(key) not in self.stopped and epoch.number < 9

    def final(self, epoch):
        return epoch.mean


def test_a_worker_takes_the_next_trial_when_one_ends_and_time_ends_for_all(oracle, kinds, nas):
    plan = oracle.Plan(9, 4, 2, stops=True)  # 18 epochs of time
    side = Scripted(1, 2)
    ended = oracle.replay(side, kinds["no crossing"](nas, 9), plan)
    # 0 ends at 9; 1 stops at 1, 2 at 2, and 3 ends at 11; what 4 and 5 begin then ends too late,
    # but for 4, which began at 9.
    assert side.heard == [
        *(("0", 1), ("1", 1), ("2", 1), ("0", 3), ("3", 1), ("3", 3), ("0", 9), ("4", 1)),
        *(("3", 9), ("4", 3), ("5", 1), ("5", 3), ("4", 9)),
    ]
    assert len(ended) == 3


def test_of_equal_speeds_no_curves_cross_and_of_own_ones_some_do(kinds, nas):
    def order(kind, epoch):
        curves = kinds[kind](nas, 27)
        return sorted(range(0, 15625, 97), key=lambda row: curves.after(row, epoch).mean)

    assert order("no crossing", 1) == order("no crossing", 27)
    assert order("crossing", 1) != order("crossing", 27)


@pytest.mark.parametrize("kind", ["no crossing", "crossing", "recorded"])
def test_the_best_epoch_of_a_curve_has_the_value_of_its_table(kinds, nas, kind):
    curves = kinds[kind](nas, 27)
    better = [row for row in range(0, 15625, 997) if nas.means[row] > 50]
    for row in better:
        assert curves.after(row, 27).best == pytest.approx(nas.means[row])


@pytest.fixture
def options(tmp_path):
    """What is tried in a moment: two seeds, and budgets of four trials."""
    numbers = {"seeds": 2, "trials": 4, "budget": 4, "epochs": 9, "workers": 2}
    return argparse.Namespace(journal=tmp_path / "journal", **numbers)


def test_what_has_a_line_is_not_run_again_and_the_page_is_made_of_the_lines(oracle, nas, options):
    oracle.replay_missing(options, {NAS: nas})
    lines = options.journal.read_text().splitlines()
    assert len(lines) == 2 * 4 * 4  # seeds, sides, and no curves or one of three
    options.journal.write_text("\n".join(lines[:-1]) + "\n")
    oracle.replay_missing(options, {NAS: nas})
    again = options.journal.read_text().splitlines()
    assert again[:-1] == lines[:-1]
    text = oracle.page(oracle.read(options), {NAS: nas}, oracle.plans(options))
    assert "2 seeds, the same for all" in text
    assert json.loads(again[-1])["seed"] == 1
    assert text.count(f"\n{NAS}:\n") == 4
