"""Where a study's files are: the driver's own directory, and what the trials write.

Resolved once, at the driver, from where the command was started. With an object store only what
trials write is there: the driver's lock, its log and MLflow's outbox need a disk.
"""

from collections.abc import Iterator
from pathlib import Path

from mhray.training.remote import RemoteDirectory
from mhray.training.trial_files import FilesInStore, TrialFiles
from mhray.tuning.study import Study
from mhray.tuning.yaml_lines import Location

CHECKPOINTS, CONFIRMATION = "checkpoints", "confirmation"  # of trials; of runs that confirm


def is_in_store(study: Study) -> bool:
    """Whether the trials' files are in an object store, and not on a disk."""
    return "://" in study.storage


def directory_of(study: Study) -> Path:
    """The driver's own directory of a study."""
    default: str = Study.model_fields["storage"].default
    storage = default if is_in_store(study) else study.storage
    return Path(storage).resolve() / study.name


def files_of(study: Study, folder: str = CHECKPOINTS) -> TrialFiles:
    """The files of a study's trials, or in another folder of the runs that confirm the best."""
    root = str(directory_of(study) / folder)
    if not is_in_store(study):
        return TrialFiles(root)
    return FilesInStore(root, RemoteDirectory(meeting_place(study)).below(folder).uri)


def meeting_place(study: Study) -> str:
    """The directory that driver and workers have to share, by its path or its URI."""
    if not is_in_store(study):
        return str(directory_of(study))
    return RemoteDirectory(study.storage.rstrip("/")).below(study.name).uri


def unfit_storage(study: Study) -> Iterator[tuple[Location, str]]:
    """What an object store cannot do for a study."""
    if not is_in_store(study):
        return
    store = study.storage
    if store.startswith("memory:"):
        yield ("storage",), f"{store} is the memory of one process; write s3://BUCKET, or a path"
    if study.journal == "auto":
        message = f"{store} holds no journal, which is a file on a disk; write journal: and an "
        yield ("storage",), message + "Optuna URL (postgresql://HOST/DATABASE) or journal-file:PATH"


def refuse_unreachable(study: Study) -> None:
    """Refuse an object store that does not answer, or that this machine cannot talk to.

    Raises:
        StorageError: with what it said.
    """
    if is_in_store(study):
        RemoteDirectory(study.storage).open()


def is_taken_in_store(study: Study, name: str) -> bool:
    """Whether a study of this name has files in the same object store; never on a disk.

    Raises:
        StorageError: the store does not answer.
    """
    return is_in_store(study) and name in RemoteDirectory(study.storage.rstrip("/")).folders()


def move_in_store(study: Study, name: str) -> None:
    """Have what a study's trials wrote into an object store under another study's name there.

    Raises:
        StorageError: the store does not answer.
    """
    if is_in_store(study):
        renamed = study.model_copy(update={"name": name})
        RemoteDirectory(meeting_place(study)).move(RemoteDirectory(meeting_place(renamed)))
