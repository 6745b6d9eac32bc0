"""The header of a CIFAR-100-MH directory: one JSON file that says what the batches hold.

The only source of image size, layout and head names: nothing is guessed from a folder's name or
from a batch. All problems of a header are collected and raised at once.
"""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mhray.data.header_rules import COUNTS, FORMAT, VERSION, doubts, problems
from mhray.errors import DataFormatError, DataNotFoundError, reading
from mhray.heads import CATEGORICAL

HEADER_NAME = "cifar100mh_dataset_info.json"
SISTER_HEADER_NAME = "vimh_dataset_info.json"

Layout = Literal["CHW", "HWC"]


@dataclass(frozen=True)
class Parameter:
    """The mapping of one parameter: values lie in ``[minimum, maximum]``, both inclusive."""

    name: str
    minimum: int
    maximum: int
    description: str = ""
    scale: str = CATEGORICAL
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Header:
    """A header whose every key has been checked.

    Attributes:
        dataset_name: empty where the header does not say.
        parameter_names: by parameter id; an id past the end is named ``param_<id>``.
        parameters: those that have a mapping.
        train_samples: None where the header does not say; so are the other counts.
        layout: the order in which the batches store the axes of an image.
    """

    dataset_name: str
    height: int
    width: int
    channels: int
    parameter_names: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    layout: Layout = "CHW"
    format: str = FORMAT
    version: str = VERSION
    n_samples: int | None = None
    train_samples: int | None = None
    test_samples: int | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``, in pixels."""
        return self.channels, self.height, self.width

    @property
    def image_bytes(self) -> int:
        """Bytes per image."""
        return self.channels * self.height * self.width

    def name_of(self, parameter_id: int) -> str:
        """The name of a parameter: ``param_<id>`` where the header has none."""
        if parameter_id < len(self.parameter_names):
            return self.parameter_names[parameter_id]
        return f"param_{parameter_id}"

    def parameter(self, name: str) -> Parameter | None:
        """The mapping of a parameter, if the header has one."""
        return next((known for known in self.parameters if known.name == name), None)

    def to_json(self) -> dict[str, Any]:
        """The header as it stands in the file."""
        return {
            "format": self.format,
            "version": self.version,
            "dataset_name": self.dataset_name,
            **{count: getattr(self, count) for count in COUNTS if getattr(self, count) is not None},
            "image_size": f"{self.height}x{self.width}x{self.channels}",
            "image_layout": self.layout,
            "parameter_names": list(self.parameter_names),
            "parameter_mappings": {known.name: _mapping_of(known) for known in self.parameters},
        }


def read_header(data_dir: Path | str, *, strict: bool = True) -> Header:
    """The header of a directory.

    ``strict=False`` is for data sets in the wild: a foreign format and disagreeing counts are
    warnings, and without a header the images are 32x32x3 and the heads ``param_<id>``.

    Raises:
        DataNotFoundError: no such directory, or no header in it.
        DataFormatError: with every problem of the header.
        StorageError: the header cannot be read.
    """
    directory = Path(data_dir)
    path = find_header(directory)
    if path is None:
        if strict:
            raise DataNotFoundError(
                f"{directory}: has no header; write {HEADER_NAME} (keys: format, version, "
                "dataset_name, image_size, parameter_names, parameter_mappings)"
            )
        return Header("", 32, 32, 3, (), ())
    fields = _load_object(path)
    refused = list(problems(fields))
    doubtful = [f"{path}: {problem}" for problem in doubts(fields)]
    if refused or (strict and doubtful):
        raise DataFormatError(
            "\n".join([*(f"{path}: {problem}" for problem in refused), *doubtful])
        )
    for doubt in doubtful:
        warnings.warn(doubt, stacklevel=2)
    return _header_of(fields)


def find_header(data_dir: Path) -> Path | None:
    """Where the header of a directory lies, if it has one.

    Raises:
        DataNotFoundError: there is no such directory.
        StorageError: it cannot be searched.
    """
    with reading(data_dir):
        is_there = data_dir.is_dir()
    if not is_there:
        raise DataNotFoundError(
            f"{data_dir}: there is no such directory; write the path of a CIFAR-100-MH directory, "
            f"or build one: python -m mhray.data.prepare multimnist {data_dir}"
        )
    candidates = (data_dir / HEADER_NAME, data_dir / SISTER_HEADER_NAME)
    with reading(data_dir):
        return next((path for path in candidates if path.is_file()), None)


def _load_object(path: Path) -> dict[str, Any]:
    try:
        with reading(path):
            found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{path}: is not JSON ({error}); write one JSON object") from None
    if not isinstance(found, dict):
        raise DataFormatError(f"{path}: holds a {type(found).__name__}; write one JSON object")
    return found


def _header_of(fields: Mapping[str, Any]) -> Header:
    height, width, channels = map(int, fields["image_size"].split("x"))
    total, train, test = (
        None if fields.get(count) is None else int(fields[count]) for count in COUNTS
    )
    return Header(
        dataset_name=str(fields.get("dataset_name", "")),
        height=height,
        width=width,
        channels=channels,
        parameter_names=tuple(fields["parameter_names"]),
        parameters=tuple(
            _parameter_of(name, mapping)
            for name, mapping in fields.get("parameter_mappings", {}).items()
        ),
        layout=fields.get("image_layout", "CHW"),
        format=str(fields["format"]),
        version=str(fields.get("version", VERSION)),
        n_samples=total,
        train_samples=train,
        test_samples=test,
    )


def _parameter_of(name: str, mapping: Mapping[str, Any]) -> Parameter:
    return Parameter(
        name=name,
        minimum=int(mapping["min"]),
        maximum=int(mapping["max"]),
        description=str(mapping.get("description") or ""),
        scale=str(mapping.get("scale") or CATEGORICAL),
        class_names=tuple(mapping.get("class_names") or ()),
    )


def _mapping_of(parameter: Parameter) -> dict[str, Any]:
    named = {"class_names": list(parameter.class_names)} if parameter.class_names else {}
    return {
        "min": parameter.minimum,
        "max": parameter.maximum,
        "description": parameter.description,
        "scale": parameter.scale,
        **named,
    }
