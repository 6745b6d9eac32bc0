"""A study that was checked: what it says, and what was found out about its data and machines."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

from omegaconf import DictConfig

from mhray.heads import Head
from mhray.training.ray_address import RunningRay
from mhray.training.selection import shown_metrics
from mhray.tuning.capacity import Capacity, parallel_trials
from mhray.tuning.rules import metrics_of
from mhray.tuning.study import Study

# A command is indented, and an editor is told where the schema is.
NO_QUESTION = ("#  ", "# yaml-language-server:")


@dataclass(frozen=True)
class CheckedStudy:
    """A study that nothing is wrong with, and what was found out on the way.

    Attributes:
        study: with its heads filled in.
        text: the study file, as written, but without passwords.
        base: the config of a trial that varies nothing.
        heads: of the data.
        predicted: those of them that each kind of trial predicts.
        available: what can be shared out.
        directory: where everything of this study lies.
        config_dir: the user's own Hydra groups, if any.
        ray_there: the Ray that runs its trials; None: one of its own.
    """

    study: Study
    text: str
    base: DictConfig
    heads: tuple[Head, ...]
    predicted: tuple[tuple[Head, ...], ...]
    available: Capacity
    directory: Path
    config_dir: Path | None
    ray_there: RunningRay | None = None

    @property
    def question(self) -> str:
        """What the study file asks: the comment that it opens with; empty if it has none."""
        opening = takewhile(lambda line: line.startswith("#"), self.text.splitlines())
        asked = (line[1:].strip() for line in opening if not line.startswith(NO_QUESTION))
        return " ".join(asked).strip()

    @property
    def shown_metrics(self) -> dict[str, str]:
        """What is shown of a trial, and the word for each."""
        shown = [head for head in self.heads if any(head in some for some in self.predicted)]
        judges = [metric for _, metric in metrics_of(self.study)]
        has_mean = all(some == self.heads for some in self.predicted)
        return shown_metrics(shown, judges, has_mean=has_mean)

    @property
    def compared_heads(self) -> tuple[str, ...]:
        """The heads that all trials predict."""
        shared = (head for head in self.heads if all(head in some for some in self.predicted))
        return tuple(head.name for head in shared)

    @property
    def max_epochs(self) -> int:
        """The epoch at which a trial is complete."""
        return int(self.base.trainer.max_epochs)

    def trial_directory(self, number: int) -> Path:
        """Where a trial keeps its checkpoints and its result."""
        return self.directory / "checkpoints" / str(number)

    @property
    def parallel_trials(self) -> int:
        """How many trials run at a time."""
        return parallel_trials(self.study.resources, self.available)
