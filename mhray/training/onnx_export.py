"""A trained network as an ONNX file, for whoever has neither PyTorch nor mhray.

Its input `images` is uint8 `(N, height, width, channels)`; its outputs are named as the heads and
hold the probabilities `(N, classes)`. The names of the classes are in the file's metadata, `heads`.
"""

import json
import logging
import os
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import override

from mhray.durable import replacing
from mhray.errors import ConfigError, StorageError
from mhray.heads import Head
from mhray.training.network_spec import NetworkSpec, RawNetwork

NEEDED = ("onnx", "onnxscript")
EXAMPLES = 2  # images; with one, the number of images would be a constant of the file


class Probabilities(nn.Module):
    """The probabilities of each predicted head, in their order."""

    def __init__(self, network: RawNetwork, heads: tuple[Head, ...]) -> None:
        super().__init__()
        self.network = network
        self.heads = [head.name for head in heads]

    @override
    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        logits = self.network(images)
        return tuple(logits[name].softmax(dim=1) for name in self.heads)


def export_onnx(spec: NetworkSpec, network: RawNetwork, path: Path) -> None:
    """Write a network as an ONNX file.

    Raises:
        ConfigError: the packages that write ONNX files are not installed.
        StorageError: the file cannot be written.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise ConfigError(
            f"{path}: {' and '.join(missing)} cannot be found, and write ONNX files; "
            "run pip install 'mhray[onnx]'"
        )
    heads = spec.answered()
    channels, height, width = spec.image_shape
    images = torch.zeros((EXAMPLES, height, width, channels), dtype=torch.uint8)
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        # torch 2.14 warns about parts of its own exporter.
        warnings.simplefilter("ignore")
        program: Any = torch.onnx.export(
            Probabilities(network, heads).eval(),
            (images,),
            input_names=["images"],
            output_names=[head.name for head in heads],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            dynamo=True,
            verbose=False,
        )
    classes = {head.name: [head.name_of(i) for i in range(head.num_classes)] for head in heads}
    program.model.metadata_props["heads"] = json.dumps(classes)
    try:
        with replacing(path) as draft:
            program.save(draft, external_data=False)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written ({os.strerror(error.errno or 0)}); write a file in a "
            "directory that is there and that you may write to"
        ) from None
