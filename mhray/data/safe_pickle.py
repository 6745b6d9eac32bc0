"""Pickles of plain arrays, opened without running what is in them.

A pickle names functions and an unpickler calls them, NumPy's array reconstruction included. Here
every name on a short list is replaced by a function of ours that only collects bytes, and any other
name is refused before it is called. NumPy itself never sees the state of a pickled array: it trusts
such states, and a forged one reads memory that is not its own. The stand-ins also make files of
Python 2, NumPy 1 and NumPy 2 look alike.

Nor is CPython's unpickler used: see :mod:`mhray.data.pickle_opcodes`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from mhray.data.pickle_machine import Named, PickleMachine, StandIn, UnknownNameError, hashable
from mhray.data.pickle_opcodes import run_pickle
from mhray.errors import DataFormatError, UnsafePickleError

_DAMAGE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_LONGEST_REASON = 200  # characters: NumPy and float() quote what they were given

_NO_ARRAY = np.empty(0, np.uint8)
_BYTES_OF_ARRAY = 512  # two array objects, a dtype and their stand-in, without the values


class PickledArray(StandIn):
    """Stands in for ``numpy.ndarray``: the bytes of an array, checked before they become one."""

    __slots__ = ("array",)

    def __init__(self, array: NDArray[Any] = _NO_ARRAY) -> None:
        self.array = array

    @override
    def take(self, state: Any) -> None:
        *_, shape, dtype, is_fortran, raw = state
        self.array = _array_of(raw, dtype, shape, "F" if is_fortran else "C")

    @override
    def __sizeof__(self) -> int:
        return _BYTES_OF_ARRAY + self.array.nbytes


def parse_pickle(content: bytes, path: Path) -> object:
    """What the bytes of the file ``path`` hold: containers, scalars and :class:`PickledArray`.

    Raises:
        UnsafePickleError: it names anything that plain arrays do not need.
        DataFormatError: it is not a pickle, is cut short, goes on after its end, or would take many
            times its size in memory.
    """
    machine = PickleMachine(content, _NAMES)
    try:
        found = run_pickle(machine)
    except UnknownNameError as error:
        raise UnsafePickleError(
            f"{path}: asks for {error}, which plain arrays do not need; nothing was called. "
            "Write the batch as a dict of NumPy arrays or lists"
        ) from None
    except _DAMAGE as error:
        raise DataFormatError(
            f"{path}: is not a whole pickle of plain data (byte {machine.position}: "
            f"{error!s:.{_LONGEST_REASON}}); "
            "write it with pickle.dump"
        ) from None
    if rest := len(content) - machine.position:
        raise DataFormatError(f"{path}: found {rest} bytes after the end of the pickle; expected 0")
    return found


class _PickledDtype(StandIn):
    """Stands in for ``numpy.dtype``: numbers and texts, no Python objects and no records."""

    __slots__ = ("_code", "_order")

    def __init__(self, code: str, *_: object) -> None:
        self._code = code
        self._order = "|"

    @override
    def take(self, state: Any) -> None:
        _, self._order, *_ = state

    def dtype(self) -> np.dtype[Any]:
        if not isinstance(self._code, str) or not re.fullmatch(
            r"[biufc][0-9]{1,2}|[SU][0-9]{1,5}", self._code
        ):
            raise ValueError("an array should hold numbers or texts, but holds something else")
        return np.dtype(self._code).newbyteorder(self._order)  # type: ignore[arg-type]


def _reconstruct(subtype: object, *_: object) -> PickledArray:
    if subtype is not _NDARRAY:
        raise TypeError("an array should be a plain one")
    return PickledArray()


def _from_buffer(
    raw: bytes | memoryview, dtype: _PickledDtype, shape: Any, order: str, axes: Any = None
) -> PickledArray:
    array = _array_of(raw, dtype, shape, order)
    return PickledArray(array if axes is None else array.transpose(axes))


def _scalar(dtype: _PickledDtype, raw: bytes | memoryview | str) -> object:
    return _array_of(raw, dtype, ()).item()


def _array_of(
    raw: bytes | memoryview | str, dtype: _PickledDtype, shape: Any, order: str = "C"
) -> NDArray[Any]:
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape):
        raise TypeError("a shape should be a tuple of whole numbers")
    flat = np.frombuffer(_bytes_of(raw), dtype.dtype())
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _bytes_of(content: bytes | memoryview | str = b"", *_: object) -> bytes | memoryview:
    """The bytes given, never that number of zeros: a few bytes could ask for gigabytes."""
    if isinstance(content, memoryview):
        return content
    return content.encode("latin1") if isinstance(content, str) else b"".join([content])


def _names() -> Mapping[tuple[str, str], Named]:
    names: dict[tuple[str, str], Callable[..., object]] = {
        ("_codecs", "encode"): _bytes_of,
        ("numpy", "dtype"): _PickledDtype,
    }
    for builtins in ("builtins", "__builtin__"):
        names |= {
            (builtins, "set"): lambda members=(): set(hashable(members)),
            (builtins, "frozenset"): lambda members=(): frozenset(hashable(members)),
            (builtins, "complex"): complex,
            (builtins, "bytes"): _bytes_of,
            (builtins, "bytearray"): _bytes_of,
        }
    for core in ("numpy.core", "numpy._core"):
        names |= {
            (f"{core}.multiarray", "_reconstruct"): _reconstruct,
            (f"{core}.multiarray", "scalar"): _scalar,
            (f"{core}.numeric", "_frombuffer"): _from_buffer,
        }
    named = {name: Named(function) for name, function in names.items()}
    return named | {("numpy", "ndarray"): _NDARRAY}


_NDARRAY = Named(lambda *_: PickledArray())
_NAMES = _names()
