"""The best model as an MLflow model: uint8 images in, the answers of each head out.

A pyfunc, since MLflow's own PyTorch models cannot return a dict. Its code is three lines that
import this module, so it works where mhray is installed; what the network is stands in
`network.json`.
"""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import save_model
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, Schema, TensorSpec
from torch import Tensor
from typing_extensions import override

from mhray.training.answers import KINDS, answers, columns_of
from mhray.training.network_spec import NetworkSpec, RawNetwork, read_network

CODE = """\
from mlflow.models import set_model
from mhray.training.served_model import ServedModel
set_model(ServedModel())
"""
PACKAGES = ("mhray", "mlflow", "numpy", "pandas", "torch")
IMAGES_AT_ONCE = 256
SPEC, WEIGHTS = "spec", "weights"  # the artifacts


class ServedModel(PythonModel):
    """Answers raw images."""

    spec: NetworkSpec
    network: RawNetwork

    @override
    def load_context(self, context: Any) -> None:
        paths = (Path(context.artifacts[name]) for name in (SPEC, WEIGHTS))
        self.spec, self.network = read_network(*paths)

    @override
    def predict(
        self, context: Any, model_input: np.ndarray, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """One row per image, with the columns of :mod:`mhray.training.answers`."""
        batches = torch.split(torch.tensor(model_input), IMAGES_AT_ONCE)
        return pd.concat([self._answers(batch) for batch in batches], ignore_index=True)

    @torch.inference_mode()
    def _answers(self, pixels: Tensor) -> pd.DataFrame:
        return answers(self.network(pixels), self.spec.answered())


def signature_of(spec: NetworkSpec) -> ModelSignature:
    """Images `(N, height, width, channels)` of uint8 to the columns of each predicted head."""
    channels, height, width = spec.image_shape
    images = TensorSpec(np.dtype(np.uint8), (-1, height, width, channels))
    columns: list[ColSpec | TensorSpec] = [
        ColSpec(kind, name)
        for head in spec.answered()
        for name, kind in zip(columns_of(head.name), KINDS.values(), strict=True)
    ]
    return ModelSignature(inputs=Schema([images]), outputs=Schema(columns))


def save_served_model(
    directory: Path,
    spec: NetworkSpec,
    weights: Mapping[str, Tensor],
    example_images: npt.NDArray[np.uint8],
    model: Model,
) -> Path:
    """Write a whole MLflow model below a directory; returns where it is."""
    spec_path, weights_path, code = (
        directory / name for name in ("network.json", "weights.pt", "serve.py")
    )
    spec_path.write_text(spec.model_dump_json(indent=2), encoding="utf-8")
    torch.save(dict(weights), weights_path)
    code.write_text(CODE, encoding="utf-8")
    save_model(
        directory / "model",
        python_model=str(code),
        artifacts={SPEC: str(spec_path), WEIGHTS: str(weights_path)},
        signature=signature_of(spec),
        input_example=example_images,
        pip_requirements=[f"{name}=={version(name).partition('+')[0]}" for name in PACKAGES],
        mlflow_model=model,
    )
    return directory / "model"
