"""A registered model, loaded by its name for whoever wants its answers or its network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import PyFuncModel

from mhray.errors import StorageError, without_password
from mhray.training.experiment import (
    FAILURES,
    absolute_uri,
    be_quiet_and_brief,
    is_silent,
    reason_of,
    unreachable,
)
from mhray.training.pictures import read_pictures
from mhray.training.served_model import IMAGES_AT_ONCE, ServedModel


@dataclass(frozen=True)
class LoadedModel:
    """A model that MLflow loaded.

    Attributes:
        served: what is inside.
    """

    model: PyFuncModel
    served: ServedModel

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(height, width, channels)` of the images that it takes."""
        channels, height, width = self.served.spec.image_shape
        return height, width, channels

    def answers_to(self, pictures: Sequence[Path]) -> pd.DataFrame:
        """A row per picture, with the columns of :mod:`mhray.training.answers` and the path.

        Raises:
            DataFormatError: a file is no picture.
        """
        found: list[pd.DataFrame] = []
        for start in range(0, len(pictures), IMAGES_AT_ONCE):
            paths = pictures[start : start + IMAGES_AT_ONCE]
            answers: Any = self.model.predict(np.stack([*read_pictures(paths, self.image_shape)]))
            found.append(answers)
        table = pd.concat(found, ignore_index=True)
        table.insert(0, "picture", [str(path) for path in pictures])
        return table


def load_registered(model: str, tracking_uri: str) -> LoadedModel:
    """The model at a URI of MLflow's, such as ``models:/cifar100mh@champion``.

    Raises:
        StorageError: there is none, or it is none of mhray's.
        NoAnswerError: the server does not answer now.
    """
    be_quiet_and_brief()
    uri = absolute_uri(tracking_uri)
    database = Path(uri.removeprefix("sqlite:///"))
    if uri.startswith("sqlite:///") and not database.is_file():  # MLflow would make one
        raise StorageError(
            f"--tracking-uri: there is no file {database}; write the tracking_uri of the study"
        )
    mlflow.set_tracking_uri(uri)
    try:
        loaded = mlflow.pyfunc.load_model(model)
    except FAILURES as error:
        if is_silent(uri, error):
            raise unreachable(uri, error, "--tracking-uri") from None
        raise StorageError(
            f"{model}: no such model can be loaded from {without_password(uri)} "
            f"({reason_of(error)}); {_models_of(uri)}"
        ) from None
    served: Any = loaded.unwrap_python_model()
    if not isinstance(served, ServedModel):
        raise StorageError(f"{model}: is none of mhray's models; {_models_of(uri)}")
    return LoadedModel(loaded, served)


def _models_of(uri: str) -> str:
    """What could be written instead."""
    try:
        known = [*mlflow.MlflowClient(uri).search_registered_models()]
    except MlflowException:
        known = []
    names = [f"models:/{one.name}@{alias}" for one in known for alias in sorted(one.aliases)]
    if not names:
        return "none is registered there: write --tracking-uri URI, that of the study"
    return f"write one of: {', '.join(names)}"
