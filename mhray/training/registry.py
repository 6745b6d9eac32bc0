"""MLflow's registry of models: a new version, and which one is the champion.

`champion` is the best model of one data set that studies have registered under a name, and
`challenger` the next best, as the validation split has it. They move between versions of one data
set only: accuracies on two of them say nothing of each other. Earlier versions stay.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlflow
import numpy as np
import numpy.typing as npt
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from torch import Tensor

from mhray.errors import StorageError
from mhray.models.classifiers import MultiheadNetwork
from mhray.training.experiment import FAILURES, is_silent, reason_of, unreachable
from mhray.training.model_description import describe
from mhray.training.network_spec import NetworkSpec
from mhray.training.selection import Selection
from mhray.training.served_model import save_served_model
from mhray.training.tracking import Tracking

MODEL_NAME = "best"
CHAMPION, CHALLENGER = "champion", "challenger"
DATA, METRIC, VALUE = "mhray.data", "mhray.select", "mhray.value"


@dataclass(frozen=True)
class Standing:
    """What decides whether a version may take an alias from another.

    Attributes:
        data: the fingerprint of the data set.
        selection: what the study chose by.
        value: that metric of the model, on the validation split.
    """

    data: str
    selection: Selection
    value: float

    @property
    def tags(self) -> dict[str, str]:
        """What a version says of itself."""
        return {DATA: self.data, METRIC: self.selection.metric, VALUE: repr(self.value)}

    def compares_with(self, tags: Mapping[str, str]) -> bool:
        """Whether another version was judged on the same data, by the same metric."""
        return (tags.get(DATA), tags.get(METRIC)) == (self.data, self.selection.metric)

    def is_worse_than(self, tags: Mapping[str, str]) -> bool:
        """Whether another version, with which this one compares, is better."""
        return self.selection.prefers(float(tags[VALUE]), self.value)


@dataclass(frozen=True)
class Registered:
    """A model in the registry.

    Attributes:
        uri: `models:/<name>/<version>`.
        alias: what it is now: champion, challenger or, empty, neither.
        why_not: why it is no champion; empty if it is.
    """

    uri: str
    alias: str
    why_not: str

    def __str__(self) -> str:
        """What a user is told of it.

        >>> str(Registered("models:/m/2", "", "version 1 is, of other data or by another metric"))
        'models:/m/2; not the champion: version 1 is, of other data or by another metric'
        """
        if not self.why_not:
            return f"{self.uri}, the {self.alias}"
        alias = f", the {self.alias}" if self.alias else ""
        return f"{self.uri}{alias}; not the champion: {self.why_not}"


def log_best_model(
    network: MultiheadNetwork,
    spec: NetworkSpec,
    *,
    example_images: npt.NDArray[np.uint8],
    tracking: Tracking,
    run_id: str,
    registered_name: str,
    tags: Mapping[str, str],
    standing: Standing,
    champion: str = CHAMPION,
    description: str = "",
) -> Registered:
    """Log a network as a model of a run, register it, and let the aliases point where they should.

    The model is whole in MLflow before a version is made of it, and what fails is removed again. If
    there is a version of this run with these tags, no second one is made.

    Args:
        network: trained.
        spec: what `network` is; building it must give the same layers.
        example_images: a few images `(n, height, width, channels)`, kept as the input example.
        tracking: where to.
        run_id: the run that the model belongs to.
        registered_name: of the registered model; it is made if it does not exist.
        tags: of the version; they say which of the run's models this is (the trial, say).
        standing: how good it is, and on what data.
        champion: the alias of the best version.
        description: of the version, in Markdown; of the registered model as well, unless a user
            wrote that.

    Raises:
        StorageError: MLflow or its artifacts' place cannot be reached or written.
        NoAnswerError: the server does not answer now.
    """
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    spec.build(weights)
    client, tags = tracking.client, {**tags, **standing.tags}
    try:
        known = _version_of(client, registered_name, run_id, tags)
        if known is not None:
            found = _pointed(client, known, standing, champion)
        else:
            model = client.create_logged_model(
                tracking.experiment_id, name=MODEL_NAME, source_run_id=run_id
            )
            try:
                _fill(client, model, spec, weights, example_images)
                client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
                made = _register(client, model, registered_name, tags, description)
                found = _pointed_or_removed(client, made, standing, champion)
            except FAILURES:
                client.delete_logged_model(model.model_id)
                raise
        describe(client, registered_name, champion)
        return found  # noqa: TRY300  what fails above is one error
    except FAILURES as error:
        if is_silent(tracking.uri, error):
            raise unreachable(tracking.uri, error) from None
        raise StorageError(
            f"mlflow.register_best_as: the best model cannot be logged and registered as "
            f"{registered_name} ({reason_of(error)}); write a name that MLflow takes, or make that "
            "place writable, and start the same command again"
        ) from None


def _version_of(
    client: mlflow.MlflowClient, name: str, run_id: str, tags: Mapping[str, str]
) -> ModelVersion | None:
    """The version that is of this run and has these tags."""
    found = client.search_model_versions(f"name = '{name}' and run_id = '{run_id}'")
    return next((one for one in found if dict(one.tags) == dict(tags)), None)


def _pointed_or_removed(
    client: mlflow.MlflowClient, made: ModelVersion, standing: Standing, champion: str
) -> Registered:
    try:
        return _pointed(client, made, standing, champion)
    except MlflowException:
        client.delete_model_version(made.name, made.version)
        raise


def _pointed(
    client: mlflow.MlflowClient, made: ModelVersion, standing: Standing, champion: str
) -> Registered:
    """Let the aliases point to a version where it deserves them.

    A champion becomes the challenger before it loses its alias, so that this may be cut off
    anywhere and begin again.
    """
    uri = f"models:/{made.name}/{made.version}"
    best = _version_at(client, made.name, champion)
    if best is None or best.version == made.version:
        client.set_registered_model_alias(made.name, champion, made.version)
        return Registered(uri, champion, "")
    if not standing.compares_with(best.tags):
        return Registered(uri, "", f"version {best.version} is, of other data or by another metric")
    if not standing.is_worse_than(best.tags):
        client.set_registered_model_alias(made.name, CHALLENGER, best.version)
        client.set_registered_model_alias(made.name, champion, made.version)
        return Registered(uri, champion, "")
    why_not = f"version {best.version} is, with {best.tags[METRIC]} {float(best.tags[VALUE]):.4f}"
    second = _version_at(client, made.name, CHALLENGER)
    if second is None or _beats(standing, second.tags):
        client.set_registered_model_alias(made.name, CHALLENGER, made.version)
        return Registered(uri, CHALLENGER, why_not)
    is_second = second.version == made.version
    return Registered(uri, CHALLENGER if is_second else "", why_not)


def _beats(standing: Standing, tags: Mapping[str, str]) -> bool:
    return not standing.compares_with(tags) or not standing.is_worse_than(tags)


def _version_at(client: mlflow.MlflowClient, name: str, alias: str) -> ModelVersion | None:
    known = client.get_registered_model(name).aliases
    return client.get_model_version(name, known[alias]) if alias in known else None


def _fill(
    client: mlflow.MlflowClient,
    logged: LoggedModel,
    spec: NetworkSpec,
    weights: Mapping[str, Tensor],
    example_images: npt.NDArray[np.uint8],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(run_id=logged.source_run_id, model_id=logged.model_id)
        folder = save_served_model(Path(directory), spec, weights, example_images, model)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")


def _register(
    client: mlflow.MlflowClient,
    model: LoggedModel,
    name: str,
    tags: Mapping[str, str],
    description: str,
) -> ModelVersion:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.create_model_version(
        name,
        # Not models:/<id>, which MLflow looks up in the process's global store.
        source=model.artifact_location,
        run_id=model.source_run_id,
        tags=dict(tags),
        description=description,
        model_id=model.model_id,
    )
