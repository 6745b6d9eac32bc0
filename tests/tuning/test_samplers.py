"""Every sampler, at the searcher: what it draws, and what it is told."""

from itertools import count
from logging import INFO
from math import log10

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mhray.training.trial_files import TrialFiles
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.search import SearchPlan, StudySearch

SAMPLERS = {
    "tpe": {"startup_trials": 2},
    "random": {},
    "qmc": {},
    "cmaes": {},
    "gp": {"startup_trials": 2},
    "nsga2": {"population": 2},
}
SEARCH = {
    "model.loss_weights": {"simplex": ["left", "right"]},
    "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
    "model.net.depth": {"integer": [1, 9]},
    "model.net.norm": {"choice": ["batch", "layer"]},
}
FRONT = [{"maximize": "val/left_acc"}, {"minimize": "val/right_loss"}]
SEEDS = [("a", 3), ("b", 4)]
LIGHT = [kind for kind in SAMPLERS if kind != "gp"]
NUMBERS = count()
EVERY_SAMPLER = pytest.mark.parametrize("kind", SAMPLERS)


@pytest.fixture
def opened(a_study, tmp_path):
    """Starts a sweep of a study by name: its searcher, its journal and its guard."""

    def start(name, kind, seed=0):
        sampler = {kind: {**SAMPLERS[kind], "seed": seed}}
        log = f"journal-file:{tmp_path}/{name}.log"
        study = a_study(
            name=name, search=SEARCH, objectives=FRONT, sampler=sampler, journal=log, base={}
        )
        plan = SearchPlan(9, 12345, TrialFiles(str(tmp_path / name)), lambda _: "")
        journal, guard = Journal.open(study, tmp_path), Guard()
        return StudySearch(study, journal, plan, [], guard), journal, guard

    return start


def result(epoch, value, best=None):
    metrics = {"val/acc_mean": value, "val/left_acc": value / 2, "val/right_loss": 1 - value}
    row = {
        "epoch": epoch,
        "best": best or value,
        "seconds": 1.0,
        "time": 0.0,
        "images_per_second": 9.0,
    }
    return row | {f"metrics/{name}": number for name, number in metrics.items()}


def draws(search, trials):
    """The overrides of so many trials, each of which trains to the end before the next."""
    drawn = []
    for number in trials:
        drawn.append(search.suggest(str(number))["overrides"])
        search.on_trial_complete(str(number), result(9, (number * 7 % 10) / 10))
    search._guard.reraise()
    return drawn


@EVERY_SAMPLER
def test_one_seed_gives_one_sequence_of_trials(opened, kind):
    first, again = (draws(opened(name, kind, seed=3)[0], range(4)) for name in ("a", "b"))
    assert first == again


@EVERY_SAMPLER
def test_a_resumed_study_repeats_no_draw(opened, kind):
    before = draws(opened("a", kind)[0], range(3))
    after = draws(opened("a", kind)[0], range(3, 5))
    assert [overrides for overrides in after if overrides in before] == []


@pytest.mark.parametrize("kind", LIGHT)
def test_another_seed_gives_other_trials(opened, kind):
    first, other = (draws(opened(name, kind, seed)[0], range(2)) for name, seed in SEEDS)
    assert first != other


def test_a_quasi_random_sequence_goes_on_after_a_resume(opened):
    whole = draws(opened("a", "qmc")[0], range(7))
    parts = [draws(opened("b", "qmc")[0], part) for part in (range(3), range(3, 7))]
    assert whole == parts[0] + parts[1]


def test_a_quasi_random_sequence_fills_the_space(opened):
    drawn = draws(opened("a", "qmc")[0], range(9))[1:]
    rates = [float(text.partition("=")[2]) for _, _, text, *_ in drawn]
    eighths = sorted(int(8 * (log10(rate) + 4) / 2) for rate in rates)
    assert eighths == list(range(8))


OUTCOMES = ["complete", "stopped", "failed", "complete", "stopped", "complete"]


def end(search, trial_id, outcome, value):
    """A trial ends so; its last row comes twice, as from Tune."""
    search.on_trial_result(trial_id, result(1, value))
    search.on_trial_result(trial_id, result(3, value / 2, best=value))
    match outcome:
        case "complete":
            search.on_trial_result(trial_id, result(9, value / 4, best=value))
            search.on_trial_complete(trial_id, result(9, value / 4, best=value))
        case "stopped":
            search.on_trial_complete(trial_id, result(3, value / 2, best=value))
        case "failed":
            search.on_trial_complete(trial_id, None, error=True)


STATES = {"complete": "COMPLETE", "stopped": "PRUNED", "failed": "FAIL"}


@EVERY_SAMPLER
def test_only_full_length_trials_are_told_as_complete(opened, kind):
    search, journal, guard = opened("a", kind)
    for index, outcome in enumerate(OUTCOMES):
        search.suggest(outcome)
        end(search, outcome, outcome, (index + 1) / 10)
    guard.reraise()
    told = journal._study.get_trials(deepcopy=False)
    assert [trial.state.name for trial in told] == [STATES[outcome] for outcome in OUTCOMES]
    assert told[1].intermediate_values == {1: 0.2, 3: 0.2}
    values = [trial.values for trial in told if trial.state.name == "COMPLETE"]
    both = [[0.05, 0.9], [0.2, 0.6], [0.3, 0.4]]
    assert values == (both if kind == "nsga2" else [[0.1], [0.4], [0.6]])


@settings(max_examples=12, suppress_health_check=list(HealthCheck))
@given(data=st.data(), kind=st.sampled_from(LIGHT), outcomes=st.lists(st.sampled_from(OUTCOMES)))
def test_however_trials_overlap_each_is_told_once_how_it_ended(opened, data, kind, outcomes):
    name = f"{kind}-{next(NUMBERS)}"
    search, journal, guard = opened(name, kind)
    running = [(str(i), outcome) for i, outcome in enumerate(outcomes)]
    for trial_id, _ in running:
        search.suggest(trial_id)
    for trial_id, outcome in data.draw(st.permutations(running)):
        end(search, trial_id, outcome, 0.5)
        assert [r.number for r in journal.ended()].count(int(trial_id)) == 1
    guard.reraise()
    again = opened(name, kind)[1]
    assert [record.state for record in again.trials()] == [STATES[one] for one in outcomes]


@EVERY_SAMPLER
def test_nothing_is_told_twice(opened, kind):
    search, journal, guard = opened("a", kind)
    search.suggest("a")
    end(search, "a", "complete", 0.5)
    journal._study.sampler.after_trial = lambda *_: pytest.fail("told again")
    opened("a", kind)[0].suggest("b")
    guard.reraise()
    assert [trial.state.name for trial in journal._study.trials] == ["COMPLETE", "RUNNING"]


@EVERY_SAMPLER
def test_a_sampler_does_not_warn_beside_running_trials(opened, kind, caplog):
    search, _, guard = opened("a", kind)
    optuna.logging.enable_propagation()
    search.suggest("running")
    for number in range(4):
        search.suggest(str(number))
        end(search, str(number), OUTCOMES[number], number / 10)
    guard.reraise()
    assert [record.message for record in caplog.records if record.levelno > INFO] == []


ENDS = ["stopped", "complete", "complete"] * 12  # TPE looks at complete ones alone from 30 on


def test_beside_stopped_trials_tpe_goes_on_alike_after_a_resume_and_changes_no_word(opened):
    drawn, told = {}, {}
    for name in ("a", "b"):
        for part in (range(32), range(32, 36)):
            search, journal, guard = opened(name, "tpe")
            for number in part:
                drawn[name, number] = search.suggest(str(number))["overrides"]
                end(search, str(number), ENDS[number], number * 7 % 10 / 10)
            guard.reraise()
        told[name] = journal._study.get_trials(deepcopy=False)
    assert all(drawn["a", number] == drawn["b", number] for number in range(36))
    assert [t.state.name for t in told["a"]] == [STATES[one] for one in ENDS]
    values = [t.intermediate_values for t in told["a"] if t.state.name == "PRUNED"]
    wanted = [n * 7 % 10 / 10 for n in range(36) if ENDS[n] == "stopped"]
    assert values == [dict.fromkeys((1, 3), value) for value in wanted]


def rounded(value):
    return round(value, 9) if isinstance(value, float) else value


GIVEN = {"model.loss_weights.left.u": 0.5, "model.optimizer.lr": 1e-3, "model.net.norm": "batch"}


def test_given_trials_are_parents_of_the_next_generation(opened):
    search, journal, _ = opened("a", "nsga2")
    for depth in (2, 5):
        journal.enqueue({**GIVEN, "model.net.depth": depth})
    draws(search, range(12))
    shown = journal._study.get_trials(deepcopy=False)
    assert [trial.system_attrs["NSGA2:generation"] for trial in shown[:3]] == [0, 0, 1]
    assert len({tuple(map(str, map(rounded, trial.params.values()))) for trial in shown}) == 12
