from dataclasses import replace

import pytest

from mhray.errors import StudyConflictError
from mhray.tuning.grid import parameters_of, refuse_another_grid, seed_of
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.trial_overrides import overrides_of, samples_of

SEARCH = {
    "weighting": {"one_of": {"equal": {}, "fixed": {"model.loss_weights.sum": {"choice": [2, 4]}}}},
    "model.optimizer.lr": {"choice": [1e-3, 3e-3]},
}
RATES = {"model.optimizer.lr": {"choice": [1e-3, 3e-3]}}
ROWS = (
    ["weighting=equal"],
    ["weighting=fixed", "model.loss_weights.sum=2"],
    ["weighting=fixed", "model.loss_weights.sum=4"],
)


@pytest.fixture
def a_grid(a_study):
    def make(*seeds, search=SEARCH):
        return a_study(base={}, search=search, sampler={"grid": {"seeds": seeds}})

    return make


@pytest.fixture
def trials_of(a_record):
    """The first trials of a study with a grid, as its journal has them."""

    def make(study, count):
        return [
            replace(
                a_record(number, overrides=overrides),
                params=parameters_of(study, number),
                seed=seed_of(study, number) or 12345,
            )
            for number, overrides in enumerate(samples_of(study, count))
        ]

    return make


def every_trial(*seeds, rows=ROWS):
    """The overrides of all trials, in their order."""
    own = [[f"seed={seed}"] for seed in seeds] or [[]]
    rates = ("model.optimizer.lr=0.001", "model.optimizer.lr=0.003")
    return [[*row, rate, *seed] for seed in own for rate in rates for row in rows]


@pytest.mark.parametrize("seeds", [(), (7, 3)])
def test_a_grid_has_every_combination_once_with_each_seed(a_grid, seeds):
    every = every_trial(*seeds)
    assert samples_of(a_grid(*seeds), len(every)) == every


def test_a_resumed_grid_goes_on_where_it_ended_and_takes_more_seeds(a_grid, tmp_path):
    found = []
    for seeds, end in (((7, 3), 3), ((7, 3, 5), 6)):
        study = a_grid(*seeds, search=RATES)
        journal = Journal.open(study, tmp_path)
        refuse_another_grid(study, journal.trials())
        for number in range(len(found), end):
            found.append(overrides_of(study, journal.ask(sampler_of(study, number))))
            journal.describe(number, found[-1], seed_of(study, number))
    assert found == every_trial(7, 3, 5, rows=[[]])


def test_a_trial_that_was_asked_for_and_never_described_is_drawn_again(a_grid, tmp_path):
    study = a_grid(7, 3)
    journal = Journal.open(study, tmp_path)
    journal.ask(sampler_of(study, 0))
    refuse_another_grid(study, journal.trials())
    again = journal.reopen(0, sampler_of(study, 1))
    assert overrides_of(study, again) == every_trial(7)[0]


@pytest.mark.parametrize(("seeds", "trial"), [((3, 7), 0), ((7,), 6), ((7, 5), 6)])
def test_trials_of_other_seeds_are_refused(a_grid, trials_of, seeds, trial):
    with pytest.raises(StudyConflictError) as caught:
        refuse_another_grid(a_grid(*seeds), trials_of(a_grid(7, 3), 8))
    assert str(caught.value) == (
        f"sampler.grid: trial {trial} of the study is none of this grid; add seeds at the end of "
        "the list only, or write another name"
    )


def test_trials_of_another_sampler_are_refused(a_grid, trials_of):
    drawn = trials_of(a_grid(7), 2)
    drawn[1] = replace(drawn[1], params=drawn[0].params)
    with pytest.raises(StudyConflictError, match="trial 1 of the study is none of this grid"):
        refuse_another_grid(a_grid(7), drawn)


def test_a_study_without_a_grid_refuses_no_trials(a_study, a_grid, trials_of):
    refuse_another_grid(a_study(), trials_of(a_grid(7), 2))
