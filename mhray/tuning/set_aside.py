"""A fresh start: what was there is kept under a dated name, and nothing is lost on the way.

The old study gets a name of its own in its journal and a directory of its own, so that it can be
shown and gone on with under that name. Where it is to go is written into the journal first; so
whatever cuts this off, the next start finishes it. What MLflow has stays where MLflow looks for it.
"""

from datetime import datetime
from pathlib import Path

from optuna.storages import BaseStorage

from mhray.tuning.confirmation import BESIDE
from mhray.tuning.copying import attributes_of, copy, delete, exists
from mhray.tuning.journal import relocated
from mhray.tuning.places import is_taken_in_store, move_in_store
from mhray.tuning.storage import close, open_storage, place_of, writing
from mhray.tuning.study import Study
from mhray.tuning.study_journal import KEY

LEAVING = "leaving_for"
STAYS = ("lock", "mlflow-artifacts")
JOURNAL = "journal.db"


def set_aside(study: Study, directory: Path, now: datetime) -> str:
    """Keep a study under a dated name; returns that name, or nothing if there is no study.

    Raises:
        StorageError: the journal cannot be opened or written.
    """
    storage = _storage_of(study, directory)
    if storage is None:
        return ""
    name = ""
    if exists(storage, study.name) and KEY in attributes_of(storage, study.name):
        name = _free_name(storage, study, directory, now)
        with writing():
            study_id = storage.get_study_id_from_name(study.name)
            storage.set_study_user_attr(study_id, LEAVING, name)
    close(storage)
    finish_setting_aside(study, directory)
    return name


def finish_setting_aside(study: Study, directory: Path) -> None:
    """Finish a fresh start that was cut off; nothing, if there is none.

    Raises:
        StorageError: the journal cannot be opened or written.
    """
    storage = _storage_of(study, directory)
    if storage is None:
        return
    if name := _leaving_for(storage, study.name):
        with writing():
            _leave(storage, study, directory, name)
    close(storage)


def _leave(storage: BaseStorage, study: Study, directory: Path, name: str) -> None:
    target = directory.with_name(name)
    for beside in _studies_beside(storage, study.name):
        copy(
            storage,
            f"{study.name}{beside}",
            f"{name}{beside}",
            lambda trial: relocated(trial, directory, target),
            {LEAVING: ""},
        )
    move_in_store(study, name)
    target.mkdir(exist_ok=True)
    for entry in _entries(study, directory):
        entry.rename(target / entry.name)
    if study.journal == "auto":
        close(storage)
        (directory / JOURNAL).rename(target / JOURNAL)
        storage = open_storage(f"sqlite:///{target / JOURNAL}")
    # The one that says where it goes is the last, so that a start finds it until all is done.
    for beside in reversed(_studies_beside(storage, study.name)):
        delete(storage, f"{study.name}{beside}")
    close(storage)


def _studies_beside(storage: BaseStorage, name: str) -> list[str]:
    """What follows the name of a study in the names of all that belongs to it; nothing first."""
    return ["", *([BESIDE] if exists(storage, f"{name}{BESIDE}") else [])]


def _entries(study: Study, directory: Path) -> list[Path]:
    """What of a directory goes with the study; its journal goes last."""
    named = (study.journal, study.mlflow.tracking_uri)
    return [
        entry
        for entry in sorted(directory.iterdir())
        if not entry.name.startswith((*STAYS, JOURNAL))
        and not any(entry.name in place for place in named)
    ]


def _storage_of(study: Study, directory: Path) -> BaseStorage | None:
    if study.journal == "auto" and not (directory / JOURNAL).is_file():
        return None
    return open_storage(place_of(study, directory))


def _leaving_for(storage: BaseStorage, name: str) -> str:
    return str(attributes_of(storage, name).get(LEAVING, "")) if exists(storage, name) else ""


def _free_name(storage: BaseStorage, study: Study, directory: Path, now: datetime) -> str:
    dated = f"{study.name}-{now:%Y%m%d-%H%M}"
    names = (dated, *(f"{dated}-{count}" for count in range(2, 1000)))
    return next(
        free
        for free in names
        if not directory.with_name(free).exists()
        and not exists(storage, free)
        and not is_taken_in_store(study, free)
    )
