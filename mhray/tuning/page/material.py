"""What the journal holds of one study, for all sections of its report.

Nothing else is asked: no file of the study, no data, no MLflow. So the report can be written again
wherever the journal is.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mhray.tuning.confirm_section import Confirm
from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.extension import Extension
from mhray.tuning.journal import Journal
from mhray.tuning.page.searched import Quantity, quantities_of
from mhray.tuning.page.wording import short
from mhray.tuning.record import BASELINE, TrialRecord
from mhray.tuning.report import best_of
from mhray.tuning.rules import weighs
from mhray.tuning.space import format_override
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Value, read_scalar

NONE = Extension()


@dataclass(frozen=True)
class Material:
    """One study, as its journal has it.

    Attributes:
        study: as it is now, with what was changed since its first start.
        records: all its trials, by number.
        data: fingerprint and split.
        origin: versions and commit of its first start.
        question: what the study file asks, or empty.
        command: what started it last, or empty.
        config_dir: the user's own Hydra groups, or empty.
        seconds: of all its starts.
        gpu_seconds: of all its trials.
        changes: how often it went on as something else.
        confirmation: of its best trials with fresh seeds; None if nothing is confirmed.
        runs: with fresh seeds, also of a confirmation that the study does not ask for any more.
    """

    study: Study
    records: tuple[TrialRecord, ...]
    data: dict[str, Any]
    origin: dict[str, str]
    question: str = ""
    command: str = ""
    config_dir: str = ""
    seconds: float = 0.0
    gpu_seconds: float = 0.0
    changes: int = 0
    extension: Extension = NONE
    confirmation: Confirmation | None = None
    runs: tuple[TrialRecord, ...] = ()

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The heads that some trial predicts, in the order in which it logs them."""
        return tuple(dict.fromkeys(head for record in self.records for head in _heads_of(record)))

    @cached_property
    def complete(self) -> tuple[TrialRecord, ...]:
        """The trials that can be compared: they trained to the end and predict all heads."""
        return tuple(
            record
            for record in self.records
            if record.state == "COMPLETE" and len(_heads_of(record)) == len(self.heads)
        )

    @cached_property
    def best(self) -> TrialRecord | None:
        """The winner; None if no trial is complete."""
        return best_of(self.records, self.study.selection)

    @cached_property
    def baseline(self) -> TrialRecord | None:
        """Trial 0; None as long as it has not ended an epoch."""
        found = (one for one in self.records if one.number == BASELINE and one.epochs)
        return next(found, None)

    @property
    def baseline_name(self) -> str:
        """What trial 0 is."""
        if self.study.grid:
            return "the first row"
        return "equal weights" if any(map(weighs, self.study.search)) else "the config itself"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The accuracy of each head on validation."""
        return tuple(map(accuracy, self.heads))

    @cached_property
    def tested(self) -> tuple[TrialRecord, ...]:
        """The trials that were shown to the test split."""
        return tuple(record for record in self.records if record.test)

    @property
    def shown_to_test(self) -> int:
        """How many models the test split has seen, of trials and of runs with fresh seeds."""
        return len(self.tested) + sum(bool(run.test) for run in self.runs)

    @property
    def core_seconds(self) -> float:
        """Of all trials, and of all runs with fresh seeds."""
        busy = sum(record.seconds for record in (*self.records, *self.runs))
        resources = self.study.resources
        return busy * resources.per_worker.cpus * resources.workers_per_trial

    @property
    def winner(self) -> TrialRecord | None:
        """The run with a fresh seed that the study ends with; None if none has won."""
        state = self.confirmation
        return state.median_run(state.winner) if state and state.winner else None

    @property
    def ends_with(self) -> TrialRecord | None:
        """The run that the study ends with: of a confirmed winner, or else the best trial."""
        return self.winner or self.best

    @cached_property
    def chosen(self) -> TrialRecord | None:
        """The trial that figures of the search mark: which fresh seeds chose, or else the best."""
        name = self.winner.candidate if self.winner else ""
        named = (record for record in self.complete if f"trial {record.number}" == name)
        return next(named, self.best)

    @property
    def chosen_name(self) -> str:
        """What that trial is."""
        if self.winner is None or self.chosen is None:
            return "best"
        is_winner = self.winner.candidate == f"trial {self.chosen.number}"
        return "winner" if is_winner else "best of the search"

    @property
    def ended(self) -> float:
        """Seconds since 1970 at which the last trial ended; 0 if none has."""
        return max((record.ended for record in self.records), default=0.0)

    @property
    def budget(self) -> int:
        """The trials that were asked for."""
        return max(self.study.budget.trials, self.extension.to)

    @property
    def is_done(self) -> bool:
        """Whether all of them have ended."""
        return sum(record.state != "RUNNING" for record in self.records) >= self.budget

    def validated(self, record: TrialRecord) -> dict[str, float]:
        """The metrics of the best epoch of a trial, or of a run with a fresh seed."""
        if record.candidate:
            return record.best_epoch(self.study.selection).metrics
        return self._validated[record.number]

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """All that the study searches."""
        return tuple(quantities_of(self.study))

    def values(self, record: TrialRecord) -> dict[str, Value]:
        """What a trial drew of the searched quantities, or a run has of them, by path."""
        return self._read(record) if record.candidate else self._values[record.number]

    def drawn(self, record: TrialRecord) -> str:
        """The same as a reader wants it: the exact overrides are in the line that repeats it."""
        return " ".join(
            f"{path.rpartition('.')[2]}={short(value)}"
            for path, value in self.values(record).items()
            if value is not None
        )

    @cached_property
    def _validated(self) -> dict[int, dict[str, float]]:
        selection = self.study.selection
        return {one.number: one.best_epoch(selection).metrics for one in self.records if one.epochs}

    @cached_property
    def _values(self) -> dict[int, dict[str, Value]]:
        return {record.number: self._read(record) for record in self.records}

    def _read(self, record: TrialRecord) -> dict[str, Value]:
        """The searched quantities as overrides have them."""
        drawn = record.drawn or record.overrides
        own = {text: text.partition("=")[::2] for text in drawn}
        return {
            path: self._choices[text] if text in self._choices else read_scalar(value)
            for text, (path, value) in own.items()
            if path in self._searched
        }

    @cached_property
    def _searched(self) -> frozenset[str]:
        return frozenset(quantity.path for quantity in self.quantities)

    @cached_property
    def _choices(self) -> dict[str, Value]:
        """Choices by what is typed for them: Hydra quotes text in a way of its own."""
        return {
            format_override(quantity.path, choice): choice
            for quantity in self.quantities
            for choice in quantity.choices
        }


def accuracy(head: str) -> str:
    """The name of a head's accuracy on validation."""
    return f"val/{head}_acc"


def material_of(journal: Journal) -> Material:
    """What a study's journal holds now."""
    about = journal.about()
    study, records = Study.model_validate(about.study), tuple(journal.trials())
    confirm = study.confirm
    runs = tuple(journal.confirmed(study_of_runs(study, confirm or Confirm())))
    return Material(
        study=study,
        records=records,
        data=about.data,
        origin=journal.origin,
        question=about.question,
        command=about.command,
        config_dir=about.config_dir,
        seconds=about.seconds,
        gpu_seconds=about.gpu_seconds,
        changes=about.changes,
        extension=journal.extension,
        confirmation=Confirmation(study, confirm, records, runs) if confirm and records else None,
        runs=runs,
    )


def _heads_of(record: TrialRecord) -> tuple[str, ...]:
    """The heads that a trial predicts."""
    logged = record.epochs[-1].metrics if record.epochs else {}
    losses = (
        name[len("val/") : -len("_loss")]
        for name in logged
        if name.startswith("val/") and name.endswith("_loss")
    )
    return tuple(head for head in losses if accuracy(head) in logged)
