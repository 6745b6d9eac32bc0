"""A study whose space has grown goes on in all of it, whatever the sampler and the storage."""

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mhray.errors import StudyConflictError
from mhray.tuning import copying
from mhray.tuning.journal import Journal
from mhray.tuning.samplers import sampler_of
from mhray.tuning.study import dump_study
from mhray.tuning.trial_overrides import overrides_of

DATA = {"fingerprint": "f00d"}
FRONT = [{"maximize": "val/left_acc"}, {"maximize": "val/right_acc"}]
SAMPLERS = ["tpe", "random", "qmc", "cmaes", "gp", "nsga2"]


@pytest.fixture
def begun(a_study, tmp_path):
    """A study of these distributions, its journal in a file; begun, or gone on with."""

    def begin(rate, depth, sampler="random", where="journal-file:{}/journal.log"):
        study = a_study(
            search={"rate": rate, "depth": depth},
            sampler={sampler: {}},
            journal=where.format(tmp_path),
            objectives=FRONT,
        )
        journal = Journal.open(study, tmp_path)
        journal.begin(dump_study(study), DATA, {}, accepts_changes=True)
        return study, journal

    return begin


def draw(study, journal, count):
    """The overrides of further trials, each told a value that prefers high rates."""
    sampler = sampler_of(study, len(journal.trials()))
    drawn = []
    for _ in range(count):
        trial = journal.ask(sampler)
        drawn.append(overrides_of(study, trial)[1:])
        journal.describe(trial.number, drawn[-1], 0)
        value = [trial.params["rate"]] * len(study.told)
        journal.end(trial.number, "COMPLETE", value=value)
    return drawn


def rates(drawn):
    return [float(rate.partition("=")[2]) for rate, _ in drawn]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_goes_on_into_what_was_added(begun, sampler):
    draw(*begun({"uniform": [0, 1]}, {"choice": [1, 2]}, sampler), 10)
    # Each draw of a Gaussian process takes a second.
    later = draw(
        *begun({"uniform": [0, 10]}, {"choice": [1, 2, 3]}, sampler), 2 if sampler == "gp" else 10
    )
    assert max(rates(later)) > 1


def test_without_a_translation_optuna_would_stay_in_the_old_range_or_raise(begun, a_study):
    study, journal = begun({"uniform": [0, 1]}, {"choice": [1, 2]}, "tpe")
    draw(study, journal, 12)
    wide = a_study(search={"rate": {"uniform": [0, 10]}}, sampler={"tpe": {}})
    assert max(rates(draw_alone(wide, journal))) <= 1
    more = a_study(search={"depth": {"choice": [1, 2, 3]}}, sampler={"tpe": {}})
    with pytest.raises(ValueError, match="does not support dynamic value space"):
        draw_alone(more, journal)


def draw_alone(study, journal):
    sampler = sampler_of(study, 12)
    return [(overrides_of(study, journal.ask(sampler))[1], "") for _ in range(12)]


ENDS = st.tuples(st.integers(0, 5), st.integers(1, 5), st.integers(0, 5), st.integers(0, 5))
CHOICES = st.lists(st.sampled_from([0, 1, 2.5, "a", True, None]), min_size=2, unique_by=repr)


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["tpe", "random", "qmc", "nsga2"]), ENDS, CHOICES, CHOICES)
def test_what_may_be_accepted_never_makes_optuna_raise(begun, tmp_path, sampler, ends, before, now):
    (tmp_path / "journal.log").unlink(missing_ok=True)
    low, size, below, above = ends
    draw(*begun({"integer": [low, low + size]}, {"choice": before}, sampler), 2)
    try:
        wider = {"integer": [low - below, low + size + above]}
        grown = begun(wider, {"choice": now}, sampler)
    except StudyConflictError:
        return
    assert len(draw(*grown, 2)) == 2


@pytest.mark.parametrize("where", ["auto", "journal-file:{}/journal.log"])
def test_what_stood_in_the_journal_stands_in_it_still(begun, where):
    study, journal = begun({"uniform": [0, 1]}, {"choice": [1, 2]}, where=where)
    draw(study, journal, 2)
    journal.enqueue({"rate": 0.5, "depth": 2})
    before, key = journal.trials(), journal.key
    study, journal = begun({"uniform": [0, 2]}, {"choice": [2, 1, 3]}, where=where)
    assert (journal.trials(), journal.key) == (before, key)
    assert draw(study, journal, 1) == [["rate=0.5", "depth=2"]]
    orphan = journal.ask(sampler_of(study, 3))
    assert [record.number for record in journal.orphans()] == [orphan.number] == [3]


class CutOffError(Exception):
    """Raised in a test where a process would be killed."""


@pytest.mark.parametrize("step", range(6))
def test_a_translation_that_is_cut_off_anywhere_is_finished_or_undone(begun, monkeypatch, step):
    study, journal = begun({"uniform": [0, 1]}, {"choice": [1, 2]})
    draw(study, journal, 3)
    before = journal.trials()
    with monkeypatch.context() as patch:
        cut_off_at(patch, step)
        with pytest.raises(CutOffError):
            begun({"uniform": [0, 2]}, {"choice": [1, 2, 3]})
    study, journal = begun({"uniform": [0, 2]}, {"choice": [1, 2, 3]})
    assert journal.trials() == before
    assert len(draw(study, journal, 2)) == 2
    names = optuna.get_all_study_names(journal._storage)
    assert names == ["s"]


def cut_off_at(patch, step):
    """Ends the process at one of the steps of copying: a study made or deleted, or trials added."""
    left = iter(range(step, -1, -1))

    def counting(act):
        def counted(*arguments, **named):
            if next(left) == 0:
                raise CutOffError
            return act(*arguments, **named)

        return counted

    patch.setattr(optuna.Study, "add_trials", counting(optuna.Study.add_trials))
    patch.setattr(copying, "delete", counting(copying.delete))
