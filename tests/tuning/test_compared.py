"""What TPE looks at where trials are stopped: trials that came equally far."""

from logging import DEBUG
from math import isnan, nan

import optuna
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from mhray.tuning.compared import ENOUGH, ComparingTPE, comparable

COMPLETE, PRUNED, FAIL, RUNNING = (
    TrialState[name] for name in ("COMPLETE", "PRUNED", "FAIL", "RUNNING")
)
LAST = 5
SPACE = {"x": FloatDistribution(0, 1)}


def a_trial(state, values=(), x=0.5):
    """A trial with the best value so far after each epoch."""
    best = dict(enumerate(values, 1))
    value = best[len(values)] if state == COMPLETE else None
    return create_trial(
        state=state, value=value, params={"x": x}, distributions=SPACE, intermediate_values=best
    )


VALUES = st.sampled_from([0.1, 0.2, 0.3])
STOPPED = st.lists(VALUES | st.just(nan), max_size=LAST - 1)
TRIALS = st.lists(
    st.builds(a_trial, st.just(COMPLETE), st.lists(VALUES, min_size=LAST, max_size=LAST))
    | st.builds(a_trial, st.sampled_from([PRUNED, FAIL, RUNNING]), STOPPED),
    max_size=10,
)
FEW_COMPLETE = st.tuples(
    st.lists(st.builds(a_trial, st.just(COMPLETE), st.just([0.1] * 4 + [0.3])), max_size=3),
    st.lists(st.builds(a_trial, st.just(PRUNED), STOPPED), min_size=3, max_size=8),
).map(lambda both: both[1][:2] + both[0] + both[1][2:])
ENOUGHS = st.integers(1, 6)


def numbered(trials):
    for number, trial in enumerate(trials):
        trial.number = number
    return trials


def of(trials, *states):
    return [trial for trial in trials if trial.state in states]


def finished(epoch, trials):
    """Those that ended, and said something of an epoch that is a number."""
    ended = of(trials, COMPLETE, PRUNED)
    return [one for one in ended if not isnan(one.intermediate_values.get(epoch, nan))]


@given(TRIALS, ENOUGHS)
def test_running_trials_are_always_seen_and_failed_ones_never(trials, enough):
    seen = comparable(numbered(trials), enough)
    assert of(seen, RUNNING) == of(trials, RUNNING)
    assert of(seen, FAIL) == []


@given(TRIALS, ENOUGHS)
def test_enough_complete_trials_are_all_that_is_compared(trials, enough):
    complete = of(numbered(trials), COMPLETE)
    assume(len(complete) >= enough)
    assert of(comparable(trials, enough), COMPLETE, PRUNED) == complete


@given(FEW_COMPLETE, st.integers(4, 5))
def test_before_that_all_have_their_value_at_the_last_epoch_that_enough_finished(trials, enough):
    reached = [e for e in range(1, LAST + 1) if len(finished(e, numbered(trials))) >= enough]
    came = finished(reached[-1], trials) if reached else []
    wanted = [(one.number, COMPLETE, one.intermediate_values[reached[-1]]) for one in came]
    as_they_are = [(one.number, one.state, one.value) for one in trials]
    seen = [(one.number, one.state, one.value) for one in comparable(trials, enough)]
    assert seen == (wanted or as_they_are)


@given(TRIALS, ENOUGHS)
def test_what_was_told_is_not_changed(trials, enough):
    before = [(t.state, t.values, dict(t.intermediate_values)) for t in numbered(trials)]
    comparable(trials, enough)
    after = [(t.state, t.values, dict(t.intermediate_values)) for t in trials]
    assert str(after) == str(before)  # of which some are nan


def draws(sampler, told, count=4):
    """The next values of ``x`` after such trials, none of which ends."""
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(told)
    return [study.ask(SPACE).params["x"] for _ in range(count)]


def tpe(seed=0):
    return TPESampler(seed=seed, multivariate=True)


def comparing(startup_trials=10, seed=0):
    return ComparingTPE(startup_trials, seed=seed, multivariate=True)


def whole(x, value, epochs=LAST):
    return a_trial(COMPLETE, [value] * epochs, x)


# Good ones lie near 0. Of the stopped ones all are better than they, and lie near 1.
FULL = [whole(index / 40, 0.3 - index / 100) for index in range(ENOUGH)]
STOPPED_ONES = [a_trial(PRUNED, [0.5] * 3, 1 - index / 50) for index in range(30)]


def test_stopped_trials_do_not_move_what_is_drawn_once_enough_are_complete():
    told = [*STOPPED_ONES[:15], *FULL, *STOPPED_ONES[15:]]
    assert draws(comparing(), told) == draws(tpe(), FULL)
    assert draws(tpe(), told) != draws(tpe(), FULL)  # or this test could not fail


def test_until_then_it_is_drawn_as_if_all_had_ended_at_the_same_epoch():
    as_if = [whole(t.params["x"], t.intermediate_values[3], 3) for t in FULL[1:] + STOPPED_ONES]
    assert draws(comparing(), FULL[1:] + STOPPED_ONES) == draws(tpe(), as_if)


def test_where_none_was_stopped_optunas_own_draws_come_out():
    running = [a_trial(RUNNING, [0.1], 0.9), a_trial(FAIL, [0.1], 0.2)]
    for told in (FULL, FULL[:3], FULL + running):
        assert draws(comparing(), told) == draws(tpe(), told)


def test_more_trials_at_random_need_more_trials_to_compare():
    told = FULL + STOPPED_ONES[:5]
    as_if = [whole(t.params["x"], t.intermediate_values[3], 3) for t in told]
    assert draws(comparing(ENOUGH + 1), told) == draws(tpe(), as_if)


def test_the_trial_in_question_and_those_that_run_beside_it_keep_their_places():
    told = [*FULL, a_trial(RUNNING, [0.1], 0.03), a_trial(PRUNED, [0.1])]
    assert draws(comparing(), told, 8) == draws(tpe(), told[:-1], 8)


def test_no_draw_announces_a_study(caplog):
    optuna.logging.enable_propagation()
    study = optuna.create_study(direction="maximize", sampler=comparing())
    study.add_trials(FULL + STOPPED_ONES)
    with caplog.at_level(DEBUG):
        study.ask(SPACE)
    assert caplog.records == []
