"""Labels as people have them: a CSV file with one row per image and one column per head.

A column of whole numbers keeps its values; a column of text becomes classes, in alphabetical order.
Nothing is guessed beyond that: a column that is a bit of both is an error, with its line.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mhray.data.header import Parameter
from mhray.data.header_rules import LARGEST_BYTE
from mhray.data.records import Bytes
from mhray.errors import (
    ConfigError,
    DataFormatError,
    DataNotFoundError,
    no_such_head,
    reading,
)
from mhray.heads import CATEGORICAL

_WHAT_TO_WRITE = "write a header row with the names of the heads, then one row per image"
_FIRST_LINE = 2  # of a file, that is not the header row


@dataclass(frozen=True, eq=False)
class LabelTable:
    """The labels of one CSV file.

    Attributes:
        names: of the heads, in the order of the columns.
        columns: one array ``(rows,)`` per head, of int64 or, for text, of ``str`` objects.
    """

    path: Path
    names: tuple[str, ...]
    columns: tuple[NDArray[Any], ...]

    def __len__(self) -> int:
        return len(self.columns[0])


def read_label_table(path: Path) -> LabelTable:
    """The table in a CSV file.

    Raises:
        DataNotFoundError: there is no such file.
        DataFormatError: with the first problem of each column, each with its line.
        StorageError: the file cannot be read.
    """
    cells = _read_cells(path)
    names = [str(name) for name in cells.iloc[0].fillna("")]
    if problems := list(_problems_of_names(names)):
        raise DataFormatError("\n".join(f"{path}: line 1: {problem}" for problem in problems))
    columns = {name: cells[index].iloc[1:] for index, name in enumerate(names)}
    if len(cells) == 1:
        raise DataFormatError(f"{path}: has no rows after the first; {_WHAT_TO_WRITE}")
    if problems := [text for name, column in columns.items() for text in _problems(name, column)]:
        raise DataFormatError("\n".join(f"{path}: {problem}" for problem in problems))
    return LabelTable(path, tuple(names), tuple(map(_parsed, columns.values())))


def encode(
    tables: Sequence[LabelTable], scales: Mapping[str, str]
) -> tuple[tuple[Parameter, ...], tuple[Bytes, ...]]:
    """The mapping of each head, and the values ``(rows, heads)`` of each table.

    A head's range, and its class names, are what occurs in all the tables together. ``scales`` are
    those of the heads that are not categorical.

    Raises:
        HeadMismatchError: ``scales`` names a head that the tables lack.
        ConfigError: it orders text.
        DataFormatError: the tables are not of the same columns, or a head has over 256 classes.
    """
    first = tables[0]
    for name in scales:
        if name not in first.names:
            raise no_such_head(f"--scale {name}", name, first.names)
    for table in tables[1:]:
        _check_alike(table, first)
    heads = [
        _encode_head(name, columns, scales, first.path)
        for name, *columns in zip(first.names, *(table.columns for table in tables), strict=True)
    ]
    values = np.stack([column for _, column in heads], axis=1)
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return tuple(parameter for parameter, _ in heads), tuple(np.split(values, ends))


def _read_cells(path: Path) -> pd.DataFrame:
    """Every cell as text, without the spaces around it; an empty one is missing."""
    if not path.exists():
        raise DataNotFoundError(f"{path}: there is no such file; write the path of a CSV file")
    try:
        with reading(path):
            cells = pd.read_csv(
                path,
                header=None,
                dtype=str,
                encoding="utf-8-sig",
                keep_default_na=False,
                skip_blank_lines=False,
            )
    except (UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise DataFormatError(
            f"{path}: is not a table of comma-separated values ({str(error).strip()}); "
            f"{_WHAT_TO_WRITE}"
        ) from None
    stripped: pd.DataFrame = cells.apply(lambda column: column.str.strip()).replace("", None)
    return stripped


def _problems_of_names(names: Sequence[str]) -> Iterator[str]:
    if len(names) > LARGEST_BYTE:
        yield f"found {len(names)} columns; expected {LARGEST_BYTE} heads at most"
    for index, name in enumerate(names):
        if not name:
            yield f"column {index + 1} has no name; remove it, if it is an index, or name it"
        elif len(separators := set(name) & {";", "\t"}) == 1:
            yield f"column {index + 1} is named {name!r}; write commas, not {separators.pop()!r}"
        elif not re.fullmatch(r"[A-Za-z0-9_-]+", name):
            renamed = re.sub(r"[^A-Za-z0-9_-]+", "_", name)
            yield (
                f"column {index + 1} is named {name!r}; a head's name has only letters, digits, "
                f'"_" and "-": rename it, to {renamed!r} say'
            )
        elif name in names[:index]:
            yield f"column {index + 1} repeats the name {name!r}; write another name"


def _problems(name: str, column: "pd.Series[str]") -> Iterator[str]:
    """The first problem of a column, if it has one."""
    missing = column.isna().to_numpy()
    numbers = _numbers(column)
    is_number = np.isfinite(numbers)
    with np.errstate(invalid="ignore"):
        is_byte = (numbers >= 0) & (numbers <= LARGEST_BYTE) & (numbers == np.floor(numbers))
    if missing.any():
        yield f"{_where(missing, name)}: there is no value; write one in every row"
    elif is_number.any() and not is_number.all():
        odd, others = (
            (is_number, "text") if is_number.mean() < 0.5 else (~is_number, "numbers")  # noqa: PLR2004
        )
        yield (
            f"{_where(odd, name)}: found {column.iloc[int(odd.argmax())]!r:.40} among {others}; "
            "write numbers in all rows of a column, or text in all"
        )
    elif is_number.any() and not is_byte.all():
        found = column.iloc[int((~is_byte).argmax())]
        yield (
            f"{_where(~is_byte, name)}: found {found:.40}; write whole numbers, 0 to {LARGEST_BYTE}"
        )


def _numbers(column: "pd.Series[str]") -> NDArray[np.float64]:
    """The numbers of a column; not finite where a cell is none."""
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)


def _where(wrong: NDArray[np.bool_], name: str) -> str:
    return f"line {int(wrong.argmax()) + _FIRST_LINE}, column {name}"


def _parsed(column: "pd.Series[str]") -> NDArray[Any]:
    numbers = _numbers(column)
    return numbers.astype(np.int64) if np.isfinite(numbers).all() else column.to_numpy(object)


def _check_alike(table: LabelTable, first: LabelTable) -> None:
    if table.names != first.names:
        raise DataFormatError(
            f"{table.path}: line 1: found the columns {', '.join(table.names)}; "
            f"expected {', '.join(first.names)}, as in {first.path}"
        )
    for name, column, other in zip(table.names, table.columns, first.columns, strict=True):
        if column.dtype != other.dtype:
            kinds = {False: "whole numbers", True: "text"}
            raise DataFormatError(
                f"{table.path}: column {name}: found {kinds[column.dtype == object]}; "
                f"expected {kinds[other.dtype == object]}, as in {first.path}"
            )


def _encode_head(
    name: str, columns: Sequence[NDArray[Any]], scales: Mapping[str, str], path: Path
) -> tuple[Parameter, Bytes]:
    column = np.concatenate(columns)
    scale = scales.get(name, CATEGORICAL)
    if column.dtype != object:
        low, high = int(column.min()), int(column.max())
        return Parameter(name, low, high, scale=scale), column.astype(np.uint8)
    if name in scales:
        raise ConfigError(
            f"--scale {name}={scale}: the values of {name} are text, which has no order; "
            "write numbers in the file, or leave this out"
        )
    class_names, values = np.unique(column, return_inverse=True)
    if len(class_names) > LARGEST_BYTE + 1:
        raise DataFormatError(
            f"{path}: column {name}: found {len(class_names)} classes; "
            f"expected {LARGEST_BYTE + 1} at most"
        )
    parameter = Parameter(
        name, 0, len(class_names) - 1, scale=scale, class_names=tuple(class_names.tolist())
    )
    return parameter, values.astype(np.uint8)
