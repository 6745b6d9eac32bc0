"""What the journal holds of a study itself: what it is, what of it has changed, what it has spent.

With :mod:`mhray.tuning.journal`, which holds the trials, the only reader and writer of its state.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from mhray.errors import StudyConflictError
from mhray.tuning.continuation import refuse_refused, refuse_unaccepted
from mhray.tuning.copying import replace
from mhray.tuning.differences import Difference, Widened, of_data, of_studies
from mhray.tuning.extension import Extension
from mhray.tuning.spent import Spent
from mhray.tuning.storage import writing
from mhray.tuning.study import Study
from mhray.tuning.translation import optuna_distributions, translated

STUDY_FILE = "study"
DATA = "data"
ORIGIN = "origin"
KEY = "key"
SECONDS = "seconds"
GPU_SECONDS = "gpu_seconds"
CHANGES = "changes"
PUBLISHED = "published"
EXTENSION = "extension"
HOLDER = "holder"
START = "start"


@dataclass(frozen=True)
class About:
    """What a study is, for whoever shows it.

    Attributes:
        study: the resolved study file, as it is now.
        data: fingerprint and split.
        seconds: of all its starts.
        gpu_seconds: of all its trials.
        changes: how often it went on as something else.
        question: what the study file asks, or empty.
        command: what started it last, or empty.
        config_dir: the user's own Hydra groups, or empty.
    """

    study: dict[str, Any]
    data: dict[str, Any]
    seconds: float
    gpu_seconds: float
    changes: int
    question: str = ""
    command: str = ""
    config_dir: str = ""


class StudyJournal:
    """What the journal holds of its study."""

    def __init__(
        self, study: optuna.Study, storage: BaseStorage, directions: Sequence[StudyDirection]
    ) -> None:
        self._study = study
        self._storage = storage
        self._directions = list(directions)
        self._study_id = storage.get_study_id_from_name(study.study_name)
        spent = study.user_attrs
        self.spent = Spent(spent.get(SECONDS, 0.0), spent.get(GPU_SECONDS, 0.0))

    def begin(
        self,
        study: Mapping[str, Any],
        data: Mapping[str, Any],
        origin: Mapping[str, str],
        *,
        accepts_changes: bool = False,
    ) -> list[Difference]:
        """Record what this study is, or go on with it as it is now; returns what has changed.

        The resolved study file; fingerprint and split of the data; at the first start, the origin.

        Raises:
            StudyConflictError: the journal holds a study of this name that differs in what it
                searches or in its data, or in what the user has to accept.
        """
        attributes = self._study.user_attrs
        if STUDY_FILE not in attributes:
            self._refuse_foreign()
            self._refuse_other_directions()
            self._note(KEY, uuid.uuid4().hex)
            self._note(DATA, dict(data))
            self._note(ORIGIN, dict(origin))
            self._note(STUDY_FILE, dict(study))
            return []
        changes = list(attributes.get(CHANGES, []))
        last = changes[-1]["study"] if changes else attributes[STUDY_FILE]
        before, now = (Study.model_validate(dump) for dump in (last, study))
        found = [*of_studies(before, now), *of_data(attributes[DATA], data)]
        refuse_refused(now.name, found)
        self._refuse_other_directions()
        if not accepts_changes:
            refuse_unaccepted(now.name, found)
        if last != dict(study):
            changes.append({"time": time.time(), "study": dict(study)})
            self._change(now, changes, found)
        return found

    @property
    def key(self) -> str:
        """Tells this study from every other, one of the same name in the same place included."""
        return str(self._study.user_attrs[KEY])

    @property
    def origin(self) -> dict[str, str]:
        """Versions and commit of the study's first start."""
        return dict(self._study.user_attrs[ORIGIN])

    def about(self) -> About:
        """What the study is.

        Raises:
            StudyConflictError: it is none of mhray's.
        """
        noted = self._study.user_attrs
        if STUDY_FILE not in noted:
            raise StudyConflictError(
                f"journal: the study named {self._study.study_name} is none of mhray's; write the "
                "name of one that is"
            )
        changes = noted.get(CHANGES, [])
        return About(
            study=changes[-1]["study"] if changes else noted[STUDY_FILE],
            data=noted[DATA],
            seconds=noted.get(SECONDS, 0.0),
            gpu_seconds=noted.get(GPU_SECONDS, 0.0),
            changes=len(changes),
            **noted.get(START, {}),
        )

    def note_start(self, question: str, command: str, config_dir: str) -> None:
        """Record what the study asks, and what starts it."""
        self._note(START, {"question": question, "command": command, "config_dir": config_dir})

    @property
    def fingerprint(self) -> str:
        """Of the data of the study's first start."""
        return str(self._study.user_attrs[DATA]["fingerprint"])

    def is_empty(self) -> bool:
        """Whether no trial was ever asked for."""
        return not self._study.get_trials(deepcopy=False)

    def published(self) -> list[Any]:
        """What :meth:`set_published` recorded last; empty if nothing."""
        return list(self._study.user_attrs.get(PUBLISHED, []))

    def set_published(self, what: Sequence[Any]) -> None:
        """Record what of this study is in MLflow, and where."""
        self._note(PUBLISHED, list(what))

    @property
    def extension(self) -> Extension:
        """How far the study was taken beyond its file's budget."""
        return Extension(**self._study.user_attrs.get(EXTENSION, {}))

    def extend(self, extension: Extension) -> None:
        """Record how far the study is taken beyond its file's budget."""
        self._note(EXTENSION, asdict(extension))

    def holder(self) -> dict[str, Any]:
        """Who runs the study; empty if nobody does."""
        with writing():
            return dict(self._study.user_attrs.get(HOLDER, {}))

    def hold(self, holder: Mapping[str, Any]) -> None:
        """Record who runs the study."""
        self._note(HOLDER, dict(holder))

    def save_spent(self) -> None:
        """Record what sweeps of this study have spent, so that a kill forgets an epoch at most."""
        self._note(SECONDS, self.spent.seconds)
        self._note(GPU_SECONDS, self.spent.gpu_seconds)

    def _change(
        self, now: Study, changes: Sequence[Mapping[str, Any]], found: Sequence[Difference]
    ) -> None:
        if not any(isinstance(difference, Widened) for difference in found):
            self._note(CHANGES, changes)
            return
        grown = optuna_distributions(now.search)
        with writing():
            replace(
                self._storage,
                now.name,
                lambda trial: translated(trial, grown),
                {CHANGES: list(changes)},
            )
            self._study = optuna.load_study(storage=self._storage, study_name=now.name)
        self._study_id = self._storage.get_study_id_from_name(now.name)

    def _refuse_foreign(self) -> None:
        if not self.is_empty():
            raise StudyConflictError(
                f"name: the journal holds trials of a study named {self._study.study_name} "
                "that is none of mhray's; write another name"
            )

    def _refuse_other_directions(self) -> None:
        if self._study.directions != self._directions:
            raise StudyConflictError(
                f"sampler: the journal holds a study named {self._study.study_name} whose sampler "
                "is told something else: nsga2 all objectives, every other one select; write "
                "another name, or take the change back"
            )

    def _note(self, name: str, value: Any) -> None:
        with writing():
            self._study.set_user_attr(name, value)
