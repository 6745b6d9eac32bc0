"""The best model as an MLflow model: uint8 images in, the class of each head out.

A pyfunc, since MLflow's own PyTorch models cannot return a dict. Its code is three lines that
import this module, so it works where mhray is installed. Its network is rebuilt from its class and
arguments (`network.json`), and its weights are read with `weights_only=True`: no pickle is trusted.
`torch.export` would need no class, but every network would have to be exportable, it takes 2 s, and
it warns about channels_last weights; TorchScript is deprecated.
"""

import importlib
import tempfile
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, Schema, TensorSpec
from pydantic import BaseModel
from torch import Tensor
from typing_extensions import override

from mhray.errors import ConfigError, StorageError
from mhray.heads import Head, Implication, heads_config
from mhray.models.classifiers import MultiheadNetwork
from mhray.models.trained_heads import PredictedHeads
from mhray.training.experiment import FAILURES, is_silent, reason_of, unreachable
from mhray.training.tracking import Tracking

CODE = """\
from mlflow.models import set_model
from mhray.training.served_model import ServedModel
set_model(ServedModel())
"""
PACKAGES = ("mhray", "mlflow", "numpy", "pandas", "torch")
IMAGES_AT_ONCE = 256
MODEL_NAME = "best"


class NetworkSpec(BaseModel, frozen=True, extra="forbid"):
    """Everything that makes a network usable again, its weights aside.

    Attributes:
        network: the class, with its module: `model.net._target_` of a run's config.
        arguments: of the class: the rest of `model.net`, as plain data.
        heads: of the data.
        train_heads: those that were trained; all of them if `None`.
        implied_heads: of each head that others imply, how.
        image_shape: `(channels, height, width)`, the last two in pixels.
        channel_mean: subtracted from pixels in `[0, 1]`, one value per channel.
        channel_std: what the difference is divided by.
    """

    network: str
    arguments: dict[str, Any]
    heads: tuple[Head, ...]
    image_shape: tuple[int, int, int]
    channel_mean: tuple[float, ...]
    channel_std: tuple[float, ...]
    train_heads: tuple[str, ...] | None = None
    implied_heads: dict[str, tuple[Implication, ...]] = {}

    def build(self, weights: Mapping[str, Tensor]) -> MultiheadNetwork:
        """The network with these weights, in evaluation mode, on the CPU.

        Raises:
            ConfigError: `network` is no network of ours; nothing of it was called.
        """
        module, _, name = self.network.rpartition(".")
        kind = getattr(importlib.import_module(module), name)
        if not (isinstance(kind, type) and issubclass(kind, MultiheadNetwork)):
            raise ConfigError(
                f"network.json: {self.network} is no network; name a subclass of MultiheadNetwork"
            )
        network: MultiheadNetwork = kind(**self.arguments)
        network.configure(self.image_shape, heads_config(self.heads))
        network.load_state_dict(dict(weights))
        return network.eval()

    def predicted(self) -> PredictedHeads:
        """What takes the network's logits to those of the heads that are predicted."""
        return PredictedHeads(heads_config(self.heads), self.train_heads, self.implied_heads)

    def signature(self) -> ModelSignature:
        """Images `(N, height, width, channels)` of uint8 to one whole number per predicted head."""
        channels, height, width = self.image_shape
        images = TensorSpec(np.dtype(np.uint8), (-1, height, width, channels))
        classes = Schema([ColSpec("long", name) for name in self.predicted().names])
        return ModelSignature(inputs=Schema([images]), outputs=classes)


class ServedModel(PythonModel):
    """Predicts classes from raw images; normalisation and layout are its own business."""

    spec: NetworkSpec
    network: MultiheadNetwork
    predicted: PredictedHeads

    @override
    def load_context(self, context: Any) -> None:
        text = Path(context.artifacts["spec"]).read_text(encoding="utf-8")
        weights = torch.load(context.artifacts["weights"], map_location="cpu", weights_only=True)
        self.spec = NetworkSpec.model_validate_json(text)
        self.network = self.spec.build(weights)
        self.predicted = self.spec.predicted()

    @override
    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row per image, one column per predicted head, named as it, holding the class."""
        batches = torch.split(torch.tensor(model_input), IMAGES_AT_ONCE)
        return pd.concat([self._classes(batch) for batch in batches], ignore_index=True)

    @torch.inference_mode()
    def _classes(self, pixels: Tensor) -> pd.DataFrame:
        mean = torch.tensor(self.spec.channel_mean)
        std = torch.tensor(self.spec.channel_std)
        images = (pixels / 255 - mean) / std
        logits = self.predicted(self.network(images.permute(0, 3, 1, 2)))
        heads = self.predicted.names
        return pd.DataFrame({head: logits[head].argmax(dim=1).numpy() for head in heads})


def log_best_model(
    network: MultiheadNetwork,
    spec: NetworkSpec,
    *,
    example_images: npt.NDArray[np.uint8],
    tracking: Tracking,
    run_id: str,
    registered_name: str,
    tags: Mapping[str, str],
    alias: str = "champion",
    description: str = "",
) -> str:
    """Log a network as a model of a run, register it, and let `alias` point to it.

    The model is whole in MLflow before a version is made of it, and what fails is removed again. If
    `alias` already points to a version of this run with these tags, nothing is done.

    Args:
        network: trained.
        spec: what `network` is; building it must give the same layers.
        example_images: a few images `(n, height, width, channels)`, kept as the input example.
        tracking: where to.
        run_id: the run that the model belongs to.
        registered_name: of the registered model; it is made if it does not exist.
        tags: of the version; they say which of the run's models this is (the trial, say).
        alias: moved to the new version.
        description: of the version.

    Returns:
        `models:/<name>/<version>`.

    Raises:
        StorageError: MLflow or its artifacts' place cannot be reached or written.
        NoAnswerError: the server does not answer now.
    """
    weights = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    spec.build(weights)
    client = tracking.client
    try:
        known = _version_at(client, registered_name, alias, run_id, tags)
        if not known:
            model = client.create_logged_model(
                tracking.experiment_id, name=MODEL_NAME, source_run_id=run_id
            )
            try:
                _fill(client, model, spec, weights, example_images)
                client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
                known = _register(client, model, registered_name, tags, description)
                _point(client, registered_name, alias, known)
            except FAILURES:
                client.delete_logged_model(model.model_id)
                raise
    except FAILURES as error:
        if is_silent(tracking.uri, error):
            raise unreachable(tracking.uri, error) from None
        raise StorageError(
            f"mlflow.register_best_as: the best model cannot be logged and registered as "
            f"{registered_name} ({reason_of(error)}); write a name that MLflow takes, or make that "
            "place writable, and start the same command again"
        ) from None
    return f"models:/{registered_name}/{known}"


def _version_at(
    client: mlflow.MlflowClient, name: str, alias: str, run_id: str, tags: Mapping[str, str]
) -> str | None:
    """The version that an alias points to, if it is of this run and has these tags."""
    try:
        found = client.get_model_version_by_alias(name, alias)
    except MlflowException:
        return None
    is_same = (found.run_id, dict(found.tags)) == (run_id, dict(tags))
    return str(found.version) if is_same else None


def _fill(
    client: mlflow.MlflowClient,
    logged: LoggedModel,
    spec: NetworkSpec,
    weights: Mapping[str, Tensor],
    example_images: npt.NDArray[np.uint8],
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model(run_id=logged.source_run_id, model_id=logged.model_id)
        folder = _save(Path(directory), spec, weights, example_images, model)
        client.log_model_artifacts(logged.model_id, str(folder))
    client.finalize_logged_model(logged.model_id, "READY")


def _save(
    directory: Path,
    spec: NetworkSpec,
    weights: Mapping[str, Tensor],
    example_images: npt.NDArray[np.uint8],
    model: Model,
) -> Path:
    spec_path, weights_path, code = (
        directory / name for name in ("network.json", "weights.pt", "serve.py")
    )
    spec_path.write_text(spec.model_dump_json(indent=2), encoding="utf-8")
    torch.save(dict(weights), weights_path)
    code.write_text(CODE, encoding="utf-8")
    save_model(
        directory / "model",
        python_model=str(code),
        artifacts={"spec": str(spec_path), "weights": str(weights_path)},
        signature=spec.signature(),
        input_example=example_images,
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES],
        mlflow_model=model,
    )
    return directory / "model"


def _register(
    client: mlflow.MlflowClient,
    model: LoggedModel,
    name: str,
    tags: Mapping[str, str],
    description: str,
) -> str:
    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    made = client.create_model_version(
        name,
        # Not models:/<id>, which MLflow looks up in the process's global store.
        source=model.artifact_location,
        run_id=model.source_run_id,
        tags=dict(tags),
        description=description,
        model_id=model.model_id,
    )
    return str(made.version)


def _point(client: mlflow.MlflowClient, name: str, alias: str, version_number: str) -> None:
    try:
        client.set_registered_model_alias(name, alias, version_number)
    except MlflowException:
        client.delete_model_version(name, version_number)
        raise
