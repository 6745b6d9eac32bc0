"""The studies of a storage, each in a few words, from their journals."""

from dataclasses import dataclass
from pathlib import Path

from mhray.errors import MhrayError
from mhray.tuning.lock import is_running
from mhray.tuning.naming import journal_of, study_directories
from mhray.tuning.page.head_table import champion_of
from mhray.tuning.page.material import Material, material_of
from mhray.tuning.page.wording import moment, value_of


@dataclass(frozen=True)
class Glance:
    """One study.

    Attributes:
        state: complete, running, stopped, failed or unreadable.
        trials: those that have ended, of those that were asked for.
        best: the best accuracy of each head on validation, each of whichever trial has it.
        when: the last trial ended.
        resume: the command that goes on with it; empty if the journal does not know.
        trouble: why it cannot be read, or empty.
    """

    name: str
    directory: Path
    state: str
    trials: str = "-"
    best: str = "-"
    when: str = "-"
    resume: str = ""
    trouble: str = ""


def glances(storage: Path) -> list[Glance]:
    """All studies of a storage, by name; one that cannot be read hides no other."""
    return [_glance(directory) for directory in study_directories(storage)]


def _glance(directory: Path) -> Glance:
    try:
        journal, _ = journal_of(str(directory))
        material = material_of(journal)
    except MhrayError as error:
        return Glance(directory.name, directory, "unreadable", trouble=str(error))
    ended = sum(record.state != "RUNNING" for record in material.records)
    return Glance(
        name=material.study.name,
        directory=directory,
        state=_state(material, directory),
        trials=f"{ended} of {material.budget}",
        best=_best(material),
        when=moment(material.ended),
        resume=material.command,
    )


def _state(material: Material, directory: Path) -> str:
    if is_running(directory):
        return "running"
    if not material.is_done:
        return "stopped"
    return "complete" if material.best else "failed"


def _best(material: Material) -> str:
    if not material.complete:
        return "-"
    values = (
        f"{head} {value_of(metric, material.validated(champion_of(material, metric))[metric])}"
        for head, metric in zip(material.heads, material.metrics, strict=True)
    )
    return ", ".join(values)
