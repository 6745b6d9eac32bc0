"""Writes what the study file's models say of it: the schema for editors and the table of keys.

    python docs/study_reference.py

Both are made from the classes that check a study, so they cannot say anything else than the check
does: docs/study.schema.json, and the table in docs/study.md between its two marks.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mhray.tuning.study import Study

HERE = Path(__file__).resolve().parent
SCHEMA = HERE / "study.schema.json"
PAGE = HERE / "study.md"
MARKS = ("<!-- keys: made by `make docs` -->\n", "<!-- end of keys -->\n")

_ATTRIBUTE = re.compile(
    r"^    (\w+)(?: \((.*?)\))?: (.*?)(?=^    \w+(?: \(.*?\))?: |\Z)", re.MULTILINE | re.DOTALL
)
Row: TypeAlias = tuple[str, str, str, str, str]
_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "null": "null",
}


def schema() -> dict[str, Any]:
    """The JSON schema of a study file, with a description of each key."""
    made = Study.model_json_schema()
    parts = made.pop("$defs")
    for part in (made, *parts.values()):
        _describe(part)
    # Where the models hold a space, the file may name one.
    options = parts["OneOf"]["properties"]["one_of"]
    space = {"type": "string", "description": "a file with a space"}
    options["additionalProperties"] = {"anyOf": [options["additionalProperties"], space]}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study of mhray"}
    return head | {key: value for key, value in made.items() if key != "title"} | {"$defs": parts}


def rows() -> Iterator[Row]:
    """Each key with what may stand there, its unit, its default and its meaning."""
    whole = schema()
    yield from _rows(whole, whole, "", is_kind=False)


def table() -> str:
    """The rows as a table of Markdown."""
    head = [("key", "value", "unit", "default", "meaning"), ("---",) * 5]
    return "".join(f"| {' | '.join(map(_cell, row))} |\n" for row in (*head, *rows()))


def page(text: str) -> str:
    """The page with the table between its marks."""
    before, rest = text.split(MARKS[0])
    _, after = rest.split(MARKS[1])
    return f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}"


def schema_text() -> str:
    """The schema as the file holds it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _describe(part: dict[str, Any]) -> None:
    """Moves what a class's docstring says of its attributes to the properties, in place."""
    if "properties" not in part:
        return
    summary, _, attributes = part.get("description", "").partition("Attributes:\n")
    part["description"] = " ".join(summary.split())
    part["additionalProperties"] = False
    said = {key: (unit, meaning) for key, unit, meaning in _ATTRIBUTE.findall(attributes)}
    for key, entry in part["properties"].items():
        entry.pop("title", None)
        if key in said:
            unit, meaning = said[key]
            entry.update({"description": " ".join(meaning.split())})
            entry.update({"x-unit": unit} if unit else {})


def _rows(
    part: Mapping[str, Any], whole: Mapping[str, Any], above: str, *, is_kind: bool
) -> Iterator[Row]:
    """The keys of a section; ``is_kind``: its first key says which of several kinds it is."""
    for index, (key, entry) in enumerate(part["properties"].items()):
        kinds = list(_sections(entry, whole))
        names_kind = is_kind and index == 0
        summary = (
            part["description"] if names_kind else "".join(k["description"] for k in kinds[:1])
        )
        default = "names the kind" if names_kind else _default(key, entry, part)
        meaning = entry.get("description") or summary
        yield f"`{above}{key}`", _value(entry, whole), entry.get("x-unit", ""), default, meaning
        for kind in kinds:
            yield from _rows(kind, whole, f"{above}{key}.", is_kind=len(kinds) > 1)
        if key == "search":
            for kind in _sections(entry["additionalProperties"], whole):
                yield from _rows(kind, whole, "search.PATH.", is_kind=True)


def _sections(entry: Mapping[str, Any], whole: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The sections that may stand at an entry, which have keys of their own."""
    if "$ref" in entry:
        found = whole["$defs"][entry["$ref"].rpartition("/")[2]]
        yield from [found] if "properties" in found else ()
    for member in (*entry.get("anyOf", ()), *entry.get("oneOf", ())):
        yield from _sections(member, whole)


def _default(key: str, entry: Mapping[str, Any], part: Mapping[str, Any]) -> str:
    if key in part.get("required", ()):
        return "required"
    return f"`{json.dumps(entry['default'], ensure_ascii=False)}`" if "default" in entry else "`{}`"


def _value(entry: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    """What may stand at an entry, in words."""
    members = (*entry.get("anyOf", ()), *entry.get("oneOf", ()))
    if members:
        return " or ".join(dict.fromkeys(_value(member, whole) for member in members))
    if "$ref" in entry:
        found = whole["$defs"][entry["$ref"].rpartition("/")[2]]
        return "{" + ", ".join(found["properties"]) + "}" if "properties" in found else "mapping"
    if "const" in entry:
        return f"`{entry['const']}`"
    match entry.get("type"):
        case "array":
            return _list(entry, whole)
        case "object":
            return "mapping"
        case kind:
            return _WORDS.get(str(kind), "value") + _bounds(entry)


def _list(entry: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    if "prefixItems" in entry:
        return f"[{', '.join(_value(item, whole) for item in entry['prefixItems'])}]"
    return f"[{_value(entry.get('items', {}), whole)}, …]"


def _bounds(entry: Mapping[str, Any]) -> str:
    least, above = entry.get("minimum"), entry.get("exclusiveMinimum")
    if least is not None:
        return f" from {least:g}"
    return "" if above is None else f" above {above:g}"


def main() -> None:
    """Write both."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
