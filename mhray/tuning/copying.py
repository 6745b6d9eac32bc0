"""Copies of a study in its storage: the old one that a fresh start leaves, or one that has grown.

Optuna can neither rename a study nor change what a trial was drawn from, so both are copies. A copy
is marked as whole by what is written last; until then it does not count, and only what has a whole
copy is deleted. Whatever cuts this off, the next start finishes it.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial

WHOLE = "copy_of"
DRAFT = "~next"  # no study's name has a tilde

# Numbers of trials in the database, of a cache that Optuna makes anew.
_CACHES = (":parent:",)

Change = Callable[[FrozenTrial], FrozenTrial]


def copy(
    storage: BaseStorage,
    source: str,
    target: str,
    change: Change = lambda trial: trial,
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> None:
    """Copy a study, each trial changed; a copy that is not whole is made anew, a whole one is left.

    ``attributes`` are the copy's in place of the study's own of these names.
    """
    if is_whole(storage, target):
        return
    delete(storage, target)
    before = optuna.load_study(storage=storage, study_name=source)
    made = optuna.create_study(storage=storage, study_name=target, directions=before.directions)
    study_id = storage.get_study_id_from_name(target)
    system = storage.get_study_system_attrs(storage.get_study_id_from_name(source))
    for name, value in system.items():
        if not any(cache in name for cache in _CACHES):
            storage.set_study_system_attr(study_id, name, value)
    for name, value in {**before.user_attrs, **attributes}.items():
        if name != WHOLE:
            made.set_user_attr(name, value)
    made.add_trials([change(trial) for trial in before.get_trials()])
    made.set_user_attr(WHOLE, source)


def replace(storage: BaseStorage, name: str, change: Change, attributes: Mapping[str, Any]) -> None:
    """Change every trial of a study, and its attributes, all at once."""
    copy(storage, name, name + DRAFT, change, attributes)
    finish_replacing(storage, name)


def finish_replacing(storage: BaseStorage, name: str) -> None:
    """Finish what a killed process was doing to a study, or undo it if too little was done."""
    draft = name + DRAFT
    if is_whole(storage, draft):
        delete(storage, name)
        copy(storage, draft, name)
    delete(storage, draft)


def exists(storage: BaseStorage, name: str) -> bool:
    """Whether a storage has a study of this name."""
    return name in optuna.get_all_study_names(storage)


def is_whole(storage: BaseStorage, name: str) -> bool:
    """Whether a study is a copy that has all of its original."""
    return exists(storage, name) and WHOLE in attributes_of(storage, name)


def attributes_of(storage: BaseStorage, name: str) -> dict[str, Any]:
    """What users of Optuna have noted of a study."""
    return storage.get_study_user_attrs(storage.get_study_id_from_name(name))


def delete(storage: BaseStorage, name: str) -> None:
    """Delete a study, if there is one of this name."""
    if exists(storage, name):
        storage.delete_study(storage.get_study_id_from_name(name))
