"""The confirmation of a study's best trials: what its runs have shown so far, and what is next.

A function of what the journal holds of trials and of runs. So it is the same for the sweep that
runs it, for one that resumes it, and for whoever shows its result.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mhray.tuning.candidates import Candidate, Candidates, candidates_of, range_of_runs
from mhray.tuning.confirm_section import Confirm
from mhray.tuning.race import Layout, Rules, Stand, stand
from mhray.tuning.record import TrialRecord
from mhray.tuning.sampler_kinds import Random, RandomSampler
from mhray.tuning.study import Study

BESIDE = "/confirm"  # no study's name has a slash


@dataclass(frozen=True)
class Run:
    """A run that is wanted next."""

    candidate: Candidate
    seed: int


@dataclass(frozen=True)
class Confirmation:
    """What a study's confirmation has come to.

    Attributes:
        study: whose search has ended.
        confirm: how it is confirmed.
        trials: of the search.
        runs: of the confirmation, whatever has become of them.
    """

    study: Study
    confirm: Confirm
    trials: Sequence[TrialRecord]
    runs: Sequence[TrialRecord]

    @cached_property
    def candidates(self) -> Candidates:
        """Who takes part."""
        return candidates_of(self.study, self.confirm, self.trials)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """Those of the runs, in their order: the next ones after that of all trials."""
        first = self.trials[0].seed + 1
        return tuple(range(first, first + self.confirm.max_seeds))

    @cached_property
    def run_of(self) -> Mapping[tuple[str, int], TrialRecord]:
        """The run of a candidate with a seed, as far as there is one."""
        by_overrides = {run.overrides: run for run in self.runs}
        return {
            (name, seed): by_overrides[candidate.with_seed(seed)]
            for name, candidate in self.candidates.all.items()
            for seed in self.seeds
            if candidate.with_seed(seed) in by_overrides
        }

    @cached_property
    def failed(self) -> tuple[str, ...]:
        """The candidates of which a run failed: they take no further part."""
        ended = ((name, run) for (name, _), run in self.run_of.items() if run.state != "RUNNING")
        return tuple(dict.fromkeys(name for name, run in ended if run.state != "COMPLETE"))

    def by_seed(self, metric: str) -> dict[str, dict[int, float]]:
        """A metric of the best epochs of all complete runs that have it, by candidate and seed."""
        values: dict[str, dict[int, float]] = {name: {} for name in self.candidates.all}
        for (name, seed), run in self.run_of.items():
            if run.state == "COMPLETE":
                found = run.best_epoch(self.study.selection).metrics
                values[name] |= {seed: found[metric]} if metric in found else {}
        return values

    def layout(self, metric: str) -> Layout:
        """The same by places of the seeds in their order."""
        place = {seed: index for index, seed in enumerate(self.seeds)}
        return Layout(
            {
                name: {place[seed]: value for seed, value in row.items()}
                for name, row in self.by_seed(metric).items()
            }
        )

    @cached_property
    def race(self) -> Stand:
        """Where the candidates stand."""
        trials = [each.name for each in self.candidates.trials if each.name not in self.failed]
        twins = {
            name: twin.name
            for name, twin in self.candidates.twins.items()
            if twin.name not in self.failed
        }
        goal = self.study.select
        rules = Rules(self.confirm.seeds, self.confirm.max_seeds, goal.mode == "max")
        return stand(trials, twins, self.layout(goal.metric), rules)

    @property
    def winner(self) -> Candidate | None:
        """The candidate with the best median, once the race is over; None before, or of none."""
        return self.candidates.all.get(self.race.leader) if self.race.is_over else None

    @property
    def rival(self) -> Candidate | None:
        """What the winner is shown beside: itself at equal weights or, without any, trial 0."""
        if self.winner is None:
            return None
        twin = self.candidates.twins.get(self.winner.name)
        if twin is not None and twin.name in self.race.entered:
            return twin
        others = [each for each in self.candidates.trials if each.number == 0]
        return others[0] if others and others[0].name in self.race.entered else self.winner

    def median_run(self, candidate: Candidate) -> TrialRecord:
        """The run of a candidate with its median, of an even number the worse of the middle two."""
        selection = self.study.selection
        runs = [
            run
            for (name, _), run in self.run_of.items()
            if name == candidate.name and run.state == "COMPLETE"
        ]
        sign = 1 if selection.mode == "max" else -1
        runs.sort(key=lambda run: sign * run.best_epoch(selection).metrics[selection.metric])
        return runs[(len(runs) - 1) // 2]

    def wanted(self) -> list[Run]:
        """The runs that are missing before anything can be decided, those that run included."""
        every = self.candidates.all
        return [Run(every[name], self.seeds[place]) for name, place in self.race.missing]


def study_of_runs(study: Study, confirm: Confirm) -> Study:
    """The study as its confirmation runs see it: nothing stops them, and nothing is drawn."""
    _, most = range_of_runs(study, confirm)
    return study.model_copy(
        update={
            "name": study.name + BESIDE,
            "sampler": RandomSampler(random=Random()),
            "scheduler": None,
            "confirm": None,
            "budget": study.budget.model_copy(update={"trials": most}),
        }
    )
