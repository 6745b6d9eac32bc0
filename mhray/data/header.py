"""The header of a CIFAR-100-MH directory: one JSON file that says what the batches hold.

The only source of image size, layout and head names: nothing is guessed from a folder's name or
from a batch. All problems of a header are collected and raised at once.
"""

import json
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mhray.errors import DataFormatError, DataNotFoundError, did_you_mean

HEADER_NAME = "cifar100mh_dataset_info.json"
SISTER_HEADER_NAME = "vimh_dataset_info.json"
FORMAT, SISTER_FORMAT, VERSION = "CIFAR-100-MH", "VIMH", "1.0"
COUNTS = ("n_samples", "train_samples", "test_samples")
LARGEST_BYTE = 255

Layout = Literal["CHW", "HWC"]


@dataclass(frozen=True)
class Parameter:
    """The mapping of one parameter: values lie in ``[minimum, maximum]``, both inclusive."""

    name: str
    minimum: int
    maximum: int
    description: str = ""
    scale: str = "linear"
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
    refused = list(_problems(fields))
    doubtful = [f"{path}: {problem}" for problem in _doubts(fields)]
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
    """
    if not data_dir.is_dir():
        raise DataNotFoundError(
            f"{data_dir}: there is no such directory; write the path of a CIFAR-100-MH directory, "
            f"or build one: python -m mhray.data.prepare multimnist {data_dir}"
        )
    candidates = (data_dir / HEADER_NAME, data_dir / SISTER_HEADER_NAME)
    return next((path for path in candidates if path.is_file()), None)


def _load_object(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"{path}: is not JSON ({error}); write one JSON object") from None
    if not isinstance(found, dict):
        raise DataFormatError(f"{path}: holds a {type(found).__name__}; write one JSON object")
    return found


def _doubts(fields: Mapping[str, Any]) -> Iterator[str]:
    """What ``strict=False`` lets pass."""
    found, version = fields.get("format"), fields.get("version", VERSION)
    if found not in (FORMAT, SISTER_FORMAT):
        yield (
            f'format is {found!r}; expected "{FORMAT}" or "{SISTER_FORMAT}" '
            "(strict=False reads it all the same)"
        )
    if found == FORMAT and version != VERSION:
        yield f'version is {version!r}; expected "{VERSION}" (strict=False reads it all the same)'
    total: Any = fields.get("n_samples")
    parts: dict[str, Any] = {key: fields[key] for key in COUNTS[1:] if _is_whole(fields.get(key))}
    known, is_all = sum(parts.values()), len(parts) == len(COUNTS[1:])
    if _is_whole(total) and (total != known if is_all else total < known):
        least = "" if is_all else "at least "
        yield f"n_samples is {total}; expected {least}{' + '.join(parts)} = {known}"


def _problems(fields: Mapping[str, Any]) -> Iterator[str]:
    for key in ("format", "image_size", "parameter_names"):
        if key not in fields:
            yield f"has no key {key!r}; write it"
    yield from _problems_of_scalars(fields)
    yield from _problems_of_names(fields.get("parameter_names", []))
    yield from _problems_of_mappings(fields.get("parameter_mappings", {}))
    yield from _problems_of_mapped_names(
        fields.get("parameter_names", []), fields.get("parameter_mappings", {})
    )


def _problems_of_scalars(fields: Mapping[str, Any]) -> Iterator[str]:
    size = fields.get("image_size", "32x32x3")
    if not isinstance(size, str) or not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4}){2}", size):
        yield f'image_size is {size!r}; write "HEIGHTxWIDTHxCHANNELS", such as "32x32x3"'
    layout = fields.get("image_layout", "CHW")
    if layout not in ("CHW", "HWC"):
        yield f'image_layout is {layout!r}; write "CHW" or "HWC"'
    for count in COUNTS:
        found = fields.get(count)
        if found is not None and (not _is_whole(found) or found < 0):
            yield f"{count} is {found!r}; write the number of samples"


def _problems_of_names(names: Any) -> Iterator[str]:
    if not isinstance(names, list):
        yield f"parameter_names is {names!r}; write a list of names"
        return
    for index, name in enumerate(names):
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            renamed = re.sub(r"[^A-Za-z0-9_-]+", "_", str(name)) or f"param_{index}"
            yield (
                f"parameter_names[{index}] is {name!r}; a head's name has only letters, digits, "
                f'"_" and "-": rename it, to {renamed!r} say'
            )
        elif name in names[:index]:
            yield f"parameter_names[{index}] repeats {name!r}; write another name"


def _problems_of_mappings(mappings: Any) -> Iterator[str]:
    if not isinstance(mappings, dict):
        yield f"parameter_mappings is {mappings!r}; write an object, name: {{min, max, ...}}"
        return
    for name, mapping in mappings.items():
        where = f"parameter_mappings.{name}"
        if not isinstance(mapping, dict):
            yield f'{where} is {mapping!r}; write an object with "min" and "max"'
            continue
        low, high = mapping.get("min", "absent"), mapping.get("max", "absent")
        if not (_is_whole(low) and _is_whole(high) and 0 <= low <= high <= LARGEST_BYTE):
            yield (
                f"{where}: min is {low!r} and max is {high!r}; write whole numbers, "
                f"0 <= min <= max <= {LARGEST_BYTE}"
            )
            continue
        yield from _problems_of_class_names(where, mapping.get("class_names"), int(high - low) + 1)


def _problems_of_mapped_names(names: Any, mappings: Any) -> Iterator[str]:
    if not isinstance(names, list) or not isinstance(mappings, dict):
        return
    known = [*map(str, names), "param_<id>"]
    for name in mappings:
        if name not in names and not re.fullmatch(r"param_(0|[1-9]\d{0,2})", name):
            yield f"parameter_mappings.{name}: unknown parameter; {did_you_mean(name, known)}"


def _problems_of_class_names(where: str, class_names: Any, expected: int) -> Iterator[str]:
    if class_names is None:
        return
    if not isinstance(class_names, list) or not all(isinstance(name, str) for name in class_names):
        yield f"{where}.class_names is {class_names!r}; write a list of names"
    elif len(class_names) != expected:
        yield (
            f"{where}.class_names: found {len(class_names)} names; "
            f"expected {expected} (max - min + 1)"
        )


def _is_whole(value: Any) -> bool:
    """A JSON number without a fraction: 127 or 127.0, but not true."""
    return type(value) in (int, float) and value == value // 1


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
        description=str(mapping.get("description", "")),
        scale=str(mapping.get("scale", "linear")),
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
