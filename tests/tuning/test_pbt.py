"""The pausing and deciding, with a real journal; Ray itself is in test_schedulers_end_to_end.py."""

from dataclasses import dataclass, field

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from mhray.training.epoch_row import EpochRow
from mhray.training.trial_files import TrialFiles
from mhray.tuning.guard import Guard
from mhray.tuning.journal import Journal
from mhray.tuning.pbt import PopulationBasedTraining
from mhray.tuning.samplers import sampler_of
from mhray.tuning.scheduler_kinds import Pbt
from mhray.tuning.search import SearchPlan
from mhray.tuning.trial_overrides import overrides_of

CONTINUE, NOOP = TrialScheduler.CONTINUE, TrialScheduler.NOOP


@dataclass(eq=False)
class Member:
    """What the scheduler uses of one of Tune's trials."""

    config: dict
    status: str = Trial.RUNNING

    def set_config(self, config):
        self.config = config


@dataclass
class Population:
    """Trials that report into a journal, as the searcher has them do, and their scheduler."""

    journal: Journal
    make: object
    members: list = field(default_factory=list)

    def start(self, count):
        self.guard = Guard()
        self.scheduler = self.make(self.guard)
        self.members = [
            Member({"number": n, "overrides": list(self.journal.trial(n).overrides)})
            for n in range(count)
        ]
        for member in self.members:
            self.scheduler.on_trial_add(self, member)

    def pause_trial(self, member, *, should_checkpoint):
        assert not should_checkpoint
        member.status = Trial.PAUSED

    def report(self, number, epoch, value=0.5):
        action = self.scheduler.on_trial_result(self, self.members[number], {"epoch": epoch})
        self.journal.add_epoch(number, EpochRow(epoch, {"val/acc_mean": value}, value, 1.0, 0.0))
        return action

    def choose(self):
        return self.scheduler.choose_trial_to_run(self)

    def run_for_a_while(self):
        """Starts what the scheduler chooses, as Tune does in its loop; gives the numbers."""
        chosen = set()
        for _ in range(20):
            if trial := self.choose():
                chosen.add(trial.config["number"])
                trial.status = Trial.RUNNING if trial.status == Trial.PENDING else Trial.PENDING
        return chosen


@pytest.fixture
def population(a_study, tmp_path):
    """Four trials, of which the fourth is the worst one at epoch 2."""
    where = f"journal-file:{tmp_path}/journal.log"
    study = a_study(budget={"trials": 4}, scheduler={"pbt": {}}, journal=where)
    journal = Journal.open(study, tmp_path)
    for number in range(4):
        trial = journal.ask(sampler_of(study, number))
        journal.describe(number, overrides_of(study, trial), 12345)
        (tmp_path / str(number)).mkdir()
        for name in ("last.ckpt", "best.ckpt"):
            (tmp_path / str(number) / name).write_text(f"{name} of {number}")
    plan = SearchPlan(6, 12345, TrialFiles(str(tmp_path)), lambda number: "")
    made = Population(
        journal, lambda guard: PopulationBasedTraining(study, Pbt(), plan, journal, guard)
    )
    made.start(4)
    return made


def all_report(population, epoch):
    for number, value in enumerate([0.5, 0.9, 0.6, 0.1]):
        population.report(number, epoch, value)


def test_trials_train_until_a_boundary_and_stand_there(population):
    assert [population.report(0, epoch) for epoch in (1, 2)] == [CONTINUE, NOOP]
    assert population.choose() is None
    assert population.members[0].status == Trial.RUNNING


def test_the_last_epoch_is_no_boundary(population):
    assert population.report(0, 6) == CONTINUE


def test_who_stands_leaves_its_place_to_one_that_waits(population):
    population.members[3].status = Trial.PENDING
    population.report(0, 2)
    assert population.members[0].status == Trial.PAUSED
    assert population.choose() is population.members[3]


def test_who_stands_leaves_its_place_to_one_that_comes_later(population):
    population.report(0, 2)
    population.scheduler.on_trial_error(population, population.members[3])
    population.members[3].status = Trial.PENDING
    population.scheduler.on_trial_add(population, population.members[3])
    assert population.choose() is population.members[3]
    assert population.members[0].status == Trial.PAUSED


def test_the_worst_finds_the_best_ones_checkpoints_and_overrides(population, tmp_path):
    all_report(population, 2)
    population.choose()
    (takeover,) = population.journal.trial(3).takeovers
    assert (takeover.parent, takeover.epoch) == (1, 2)
    assert population.members[3].config["overrides"] == list(takeover.overrides)
    assert (tmp_path / "3" / "last.ckpt").read_text() == "last.ckpt of 1"
    assert (tmp_path / "3" / "best.ckpt").read_text() == "best.ckpt of 1"
    assert population.journal.trial(3).epochs[-1].metrics == {"val/acc_mean": 0.9}


def test_once_all_have_stood_all_go_on(population):
    all_report(population, 2)
    assert population.run_for_a_while() == {0, 1, 2, 3}
    assert [population.report(number, 2) for number in range(4)] == [CONTINUE] * 4


def test_a_place_is_left_once_another_trial_is_pending_for_it(population):
    population.members[0].status = Trial.PENDING
    for number in (1, 2):
        population.report(number, 2)
    population.members[0].status = Trial.RUNNING
    for number in (0, 3):
        population.report(number, 2)
    staged = [population.choose()]
    staged[0].status = Trial.PENDING
    assert population.members[0].status == population.members[3].status == Trial.RUNNING
    population.choose().status = Trial.PENDING
    assert population.members[0].status == Trial.RUNNING
    population.choose()
    assert population.members[0].status == Trial.PAUSED


def test_nobody_waits_for_a_trial_that_has_ended(population):
    for number in (0, 1):
        population.report(number, 2)
    population.scheduler.on_trial_complete(population, population.members[2], {})
    population.scheduler.on_trial_remove(population, population.members[3])
    assert population.run_for_a_while() == {0, 1}


def test_a_sweep_that_was_killed_before_a_decision_decides_the_same(population, tmp_path):
    all_report(population, 2)
    population.start(4)
    assert [population.report(number, 2) for number in range(4)] == [NOOP] * 4
    population.choose()
    assert [one.parent for one in population.journal.trial(3).takeovers] == [1]


def test_a_sweep_that_was_killed_after_a_decision_decides_nothing_again(population):
    all_report(population, 2)
    population.choose()
    population.start(4)
    assert [population.report(number, 2) for number in range(4)] == [CONTINUE] * 4


def test_a_trial_that_has_gone_on_lets_those_go_on_that_stand_where_it_stood(population):
    assert population.report(0, 2) == NOOP
    assert population.report(2, 3) == CONTINUE
    assert population.run_for_a_while() == {0}
    assert population.report(1, 2) == CONTINUE


def test_a_checkpoint_that_is_gone_ends_the_sweep_with_a_message(population, tmp_path):
    (tmp_path / "1" / "last.ckpt").unlink()
    all_report(population, 2)
    assert population.choose() is None
    assert str(population.guard.error) == (
        f"storage: {tmp_path / '1'} cannot be copied to {tmp_path / '3'} (No such file or "
        "directory); mend that, and run the same command again"
    )


def test_nothing_of_a_population_is_pickled_with_the_tuner(population):
    assert population.scheduler.__getstate__() == {}
