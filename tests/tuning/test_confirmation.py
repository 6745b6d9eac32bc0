"""What a confirmation wants next and what it says, from records of trials and runs alone."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from mhray.training.epoch_row import EpochRow
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.record import TrialRecord
from mhray.tuning.report import print_result
from mhray.tuning.verdict import Verdict

SHOWN = {"left_acc": "left", "right_acc": "right", "acc_mean": "mean"}
TRIALS = {0: (1.0, 1.0, 0.001), 1: (1.5, 0.5, 0.01), 2: (0.5, 1.5, 0.01)}


def metrics(left, right):
    losses = {"val/left_loss": 1.0, "val/right_loss": 1.0}
    mean = (left + right) / 2
    return {"val/left_acc": left, "val/right_acc": right, "val/acc_mean": mean, **losses}


def record(number, left, right, overrides, state="COMPLETE", seed=12345, candidate=""):
    values = metrics(left, right)
    rows = (EpochRow(1, values, values["val/acc_mean"], 1.0, 0.0),)
    return TrialRecord(
        number, state, overrides, seed, {}, rows, "", "", 1, "", {}, candidate=candidate
    )


def overrides_of(left, right, lr):
    weights = (f"model.loss_weights.left={left}", f"model.loss_weights.right={right}")
    return (*weights, f"model.optimizer.lr={lr}")


@pytest.fixture
def confirmed(a_study):
    """A confirmation of three trials, after runs of these accuracies, by candidate."""

    def make(runs, searched=(0.3, 0.6, 0.5), failed=(), **confirm):
        confirm = Confirm(**{"top": 2, "seeds": 2, "max_seeds": 3, **confirm})
        trials = [
            record(number, accuracy, accuracy, overrides_of(*TRIALS[number]))
            for number, accuracy in enumerate(searched)
        ]
        bare = Confirmation(a_study(), confirm, trials, [])
        found = [
            record(
                0,
                *accuracies,
                bare.candidates.all[name].with_seed(bare.seeds[place]),
                "FAIL" if name in failed else "COMPLETE",
                bare.seeds[place],
                name,
            )
            for name, row in runs.items()
            for place, accuracies in enumerate(row)
        ]
        numbered = [replace(run, number=number) for number, run in enumerate(found)]
        return Confirmation(a_study(), confirm, trials, numbered)

    return make


def wanted(state):
    return [(run.candidate.name, run.seed) for run in state.wanted()]


def test_all_candidates_have_the_same_fresh_seeds(confirmed):
    every = ["trial 1", "trial 2", "trial 0", "trial 1 at equal weights"]
    assert wanted(confirmed({})) == [(name, seed) for seed in (12346, 12347) for name in every]


def test_a_run_that_is_there_is_not_wanted_again(confirmed):
    state = confirmed({"trial 1": [(0.5, 0.5)]})
    assert wanted(state)[:2] == [("trial 2", 12346), ("trial 0", 12346)]
    assert state.candidates.all["trial 1"].with_seed(12346)[-1] == "seed=12346"


def test_a_candidate_of_which_a_run_failed_is_out_and_named(confirmed):
    runs = {"trial 1": [(0.5, 0.5)], "trial 1 at equal weights": [(0.5, 0.5)]}
    state = confirmed(runs, failed=["trial 1"])
    assert {name for name, _ in wanted(state)} == {"trial 2", "trial 0", "trial 2 at equal weights"}
    assert (state.failed, state.winner) == (("trial 1",), None)


RUNS = {
    "trial 1": [(0.70, 0.40), (0.72, 0.41), (0.72, 0.42)],
    "trial 2": [(0.20, 0.21), (0.22, 0.20), (0.21, 0.22)],
    "trial 0": [(0.10, 0.11), (0.12, 0.10), (0.11, 0.12)],
    "trial 1 at equal weights": [(0.60, 0.45), (0.62, 0.46), (0.61, 0.47)],
}


def test_weights_are_compared_with_the_same_overrides_at_equal_weights(confirmed):
    verdict = Verdict(confirmed(RUNS), SHOWN)
    assert verdict.sentences() == [
        "trial 1 is the best of 4, with the median 0.5650 over 3 fresh seeds",
        "trial 1 beats trial 2 by 35.2 ± 1.5 points",
        "trial 1 beats trial 0 by 45.2 ± 1.5 points",
        (
            "trial 1 beats equal weights on left by 10.3 ± 1.5 points and mean by 2.7 ± 1.2 points "
            "and costs right 5.0 ± 2.1 points (3 seeds, the same overrides)"
        ),
        "the search had 0.6000 for trial 1, its fresh seeds have 0.5650",
    ]


def test_what_seeds_cannot_tell_apart_is_said_to_be_so(confirmed):
    rows = ([0.5, 0.4, 0.6], [0.4, 0.6, 0.5], [0.6, 0.5, 0.3], [0.5, 0.3, 0.6])
    alike = {name: [(left, 0.5) for left in row] for name, row in zip(RUNS, rows, strict=True)}
    said = Verdict(confirmed(alike), SHOWN).sentences()
    every = "trial 1, trial 2, trial 0 and trial 1 at equal weights"
    assert said[0] == f"{every} cannot be told apart on val/acc_mean"
    assert said[1] == "trial 1 has the best median 0.5000 over 3 fresh seeds"
    assert said[2].startswith("trial 1 cannot be told from equal weights on any head (3 seeds")
    assert said[2].endswith("and mean +1.7 ± 26.3 points may be none")


def test_the_winner_has_the_best_median_and_not_the_best_searched_value(confirmed):
    runs = {**RUNS, "trial 2": [(0.9, 0.9), (0.95, 0.9), (0.9, 0.95)]}
    runs["trial 2 at equal weights"] = RUNS["trial 0"]
    state = confirmed(runs)
    assert (state.winner.name, state.rival.name) == ("trial 2", "trial 2 at equal weights")
    assert state.median_run(state.winner).seed == 12347


def test_of_an_even_number_of_runs_the_worse_of_the_middle_two_is_shown(confirmed):
    runs = {name: row[:2] for name, row in RUNS.items()}
    state = confirmed(runs, max_seeds=2)
    assert state.median_run(state.winner).epochs[0].metrics["val/left_acc"] == 0.70


def test_equal_weights_may_win_and_are_compared_with_what_they_beat(confirmed):
    runs = {**RUNS, "trial 1 at equal weights": [(0.9, 0.9), (0.92, 0.9), (0.9, 0.92)]}
    verdict = Verdict(confirmed(runs), SHOWN)
    assert verdict.weighed() == ("trial 1", "trial 1 at equal weights")
    assert "trial 1 costs left" in verdict.sentences()[3]


def printed(a_study, state):
    out = io.StringIO()
    console = Console(file=out, width=200, soft_wrap=True)
    print_result(console, a_study(), state.trials, SHOWN, confirmation=state)
    return out.getvalue()


def test_the_result_is_the_winners_median_run_beside_its_rivals(confirmed, a_study):
    text = printed(a_study, confirmed(RUNS))
    assert "trial 1 beside trial 1 at equal weights, the run with the median of each" in text
    assert text.splitlines()[-1].endswith("model.optimizer.lr=0.01 seed=12347")


def test_a_result_that_is_not_confirmed_says_so(confirmed, a_study):
    assert "not confirmed: what follows is what the search found" in printed(a_study, confirmed({}))


def test_what_is_there_decides_alone_so_that_a_value_in_the_journal_changes_the_words(confirmed):
    changed = {**RUNS, "trial 1": [(0.70, 0.40), (0.72, 0.41), (0.65, 0.42)]}
    before, after = (Verdict(confirmed(runs), SHOWN).sentences() for runs in (RUNS, changed))
    assert before != after


def test_the_study_of_the_runs_stops_none_and_counts_them_apart(a_study):
    study = study_of_runs(a_study(scheduler={"asha": {}}), Confirm(top=1, seeds=2, max_seeds=3))
    assert (study.name, study.scheduler, study.budget.trials) == ("s/confirm", None, 9)
