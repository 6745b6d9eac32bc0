"""What TPE looks at where trials are stopped: the complete ones alone, once they are enough."""

from logging import DEBUG

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from mhray.tuning.compared import ENOUGH, ComparingTPE, comparable

# Of `group`, with which mhray draws.
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
COMPLETE, PRUNED, FAIL, RUNNING = (
    TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)
SPACE = {"x": FloatDistribution(0, 1)}


def a_trial(state, value=0.1, x=0.5, name="x"):
    """A trial that said its value after its first epoch."""
    return create_trial(
        state=state,
        value=value if state == COMPLETE else None,
        params={name: x},
        distributions={name: FloatDistribution(0, 1)},
        intermediate_values={1: value},
    )


TRIALS = st.lists(st.sampled_from(TrialState).map(a_trial), max_size=10)
ENOUGHS = st.integers(1, 6)


def numbers(trials, *states):
    return [number for number, trial in enumerate(trials) if trial.state in states]


@given(TRIALS, ENOUGHS)
def test_once_enough_are_complete_the_stopped_ones_alone_are_left_out(trials, enough):
    is_enough = len(numbers(trials, COMPLETE)) >= enough
    others = [trial for trial in trials if trial.state != PRUNED]
    seen = comparable(trials, enough)
    assert [id(one) for one in seen] == [id(one) for one in (others if is_enough else trials)]


def draws(sampler, told, count=4):
    """The next values of ``x`` after such trials, none of which ends."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(told)
    return [study.ask(SPACE).params["x"] for _ in range(count)]


def tpe(startup_trials=10):
    return TPESampler(n_startup_trials=startup_trials, seed=0, multivariate=True, group=True)


def comparing(startup_trials=10):
    return ComparingTPE(startup_trials, seed=0, multivariate=True, group=True)


# Good ones lie near 0. Of the stopped ones all are better than they, and lie near 1.
FULL = [a_trial(COMPLETE, 0.3 - index / 100, index / 40) for index in range(ENOUGH)]
STOPPED = [a_trial(PRUNED, 0.5, 1 - index / 50) for index in range(30)]


def test_stopped_trials_do_not_move_what_is_drawn_once_enough_are_complete():
    told = [*STOPPED[:15], *FULL, *STOPPED[15:]]
    assert draws(comparing(), told) == draws(tpe(), FULL)
    assert draws(tpe(), told) != draws(tpe(), FULL)  # or this test could not fail


@pytest.mark.parametrize(
    ("startup_trials", "told"),
    [(10, FULL[1:] + STOPPED), (ENOUGH + 1, FULL + STOPPED[:5]), (10, FULL), (10, FULL[:3])],
    ids=["few complete", "many at random", "none stopped", "few and none stopped"],
)
def test_else_optunas_own_draws_come_out(startup_trials, told):
    assert draws(comparing(startup_trials), told) == draws(tpe(startup_trials), told)


def test_failed_trials_move_nothing():
    told = [*FULL, a_trial(FAIL, 0.9, 0.9), *STOPPED]
    assert draws(comparing(), told) == draws(tpe(), FULL)


def test_the_trial_in_question_and_those_that_run_beside_it_keep_their_places():
    told = [*FULL, a_trial(RUNNING, 0.1, 0.03), a_trial(PRUNED)]
    assert draws(comparing(), told, 8) == draws(tpe(), told[:-1], 8)


def test_an_option_that_only_stopped_trials_had_is_drawn_from_all_of_its_space():
    study = optuna.create_study(direction="maximize", sampler=comparing())
    study.add_trials([*FULL, *(a_trial(PRUNED, 0.5, 0.5 + i / 1000, "y") for i in range(30))])
    drawn = [study.ask({"y": FloatDistribution(0, 1)}).params["y"] for _ in range(30)]
    assert min(drawn) < 0.2
    assert max(drawn) > 0.8


def test_what_was_told_stays_in_the_journal_as_it_was():
    study = optuna.create_study(direction="maximize", sampler=comparing())
    study.add_trials(FULL + STOPPED)
    before = study.get_trials()
    study.ask(SPACE)
    assert study.get_trials()[:-1] == before


def test_no_draw_announces_a_study(caplog):
    optuna.logging.enable_propagation()
    study = optuna.create_study(direction="maximize", sampler=comparing())
    study.add_trials(FULL + STOPPED)
    with caplog.at_level(DEBUG):
        study.ask(SPACE)
    assert caplog.records == []
