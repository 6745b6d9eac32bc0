"""What a header must say: every rule of the format on its keys, one message for each breach.

Apart from the reader, which raises whatever is found here at once.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mhray.errors import did_you_mean, printable

FORMAT, SISTER_FORMAT, VERSION = "CIFAR-100-MH", "VIMH", "1.0"
COUNTS = ("n_samples", "train_samples", "test_samples")
LARGEST_BYTE = 255


def doubts(fields: Mapping[str, Any]) -> Iterator[str]:
    """What ``strict=False`` lets pass: a foreign format, and counts that contradict each other."""
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


def problems(fields: Mapping[str, Any]) -> Iterator[str]:
    """What no header may say: a key that is missing, or a value that is not what it must be."""
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
    if not isinstance(size, str) or not re.fullmatch(r"[1-9][0-9]{0,4}(x[1-9][0-9]{0,4}){2}", size):
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
        where = f"parameter_mappings.{printable(name)}"
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
    known = [*(printable(str(known)) for known in names), "param_<id>"]
    unnamed = {f"param_{parameter_id}" for parameter_id in range(len(names), LARGEST_BYTE + 1)}
    for name in mappings:
        if name not in names and name not in unnamed:
            where = f"parameter_mappings.{printable(name)}"
            yield f"{where}: unknown parameter; {did_you_mean(name, known)}"


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
