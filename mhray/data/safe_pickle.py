"""Pickles of plain arrays, opened without running what is in them.

A pickle names functions and the unpickler calls them, NumPy's array reconstruction included. Here
every name on a short list is replaced by a stand-in of ours that only collects bytes, and any other
name is refused before it is called. NumPy itself never sees the state of a pickled array: it trusts
such states, and a forged one reads memory that is not its own. The stand-ins also make files of
Python 2, NumPy 1 and NumPy 2 look alike.
"""

import io
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from mhray.errors import DataFormatError, UnsafePickleError

# What CPython's unpickler is known to raise on damaged input; our refusals pass as ValueError.
_DAMAGE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
)


class PickledArray:
    """Stands in for ``numpy.ndarray``: the bytes of an array, checked before they become one."""

    def __init__(self) -> None:
        self.array: NDArray[Any] = np.empty(0, np.uint8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take NumPy's state: (version, shape, dtype, is_fortran, bytes)."""
        *_, shape, dtype, is_fortran, raw = state
        self.array = _array_of(raw, dtype, shape, "F" if is_fortran else "C")


def load_pickle(path: Path) -> object:
    """What a pickle holds: builtin containers and scalars, and :class:`PickledArray`.

    Raises:
        UnsafePickleError: it names anything that plain arrays do not need.
        DataFormatError: it is not a pickle, is cut short, or goes on after its end.
    """
    stream = io.BytesIO(path.read_bytes())
    try:
        found = _PlainUnpickler(stream, path).load()
    except UnsafePickleError:
        raise
    except _DAMAGE as error:
        raise DataFormatError(
            f"{path}: is not a whole pickle ({type(error).__name__}: {error}); "
            "write it with pickle.dump"
        ) from None
    if rest := len(stream.getbuffer()) - stream.tell():
        raise DataFormatError(f"{path}: found {rest} bytes after the end of the pickle; expected 0")
    return found


class _PlainUnpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, path: Path) -> None:
        # latin1 is how NumPy reads arrays that Python 2 pickled.
        super().__init__(stream, encoding="latin1")
        self._path = path
        # Made anew for each file: a pickle can set attributes of what it gets hold of.
        self._stand_ins = _make_stand_ins()

    @override
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return self._stand_ins[module_name, global_name]
        except KeyError:
            raise UnsafePickleError(
                f"{self._path}: asks for {module_name}.{global_name}, which plain arrays do not "
                "need; nothing was called. Write the batch as a dict of NumPy arrays or lists"
            ) from None


class _PickledDtype:
    """Stands in for ``numpy.dtype``: numbers only, no Python objects and no records."""

    def __init__(self, code: str, *_: object) -> None:
        self._code = _text(code)
        self._order = "|"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._order = _text(state[1])

    def dtype(self) -> np.dtype[Any]:
        found = np.dtype(self._code)
        if found.kind not in "biufc" or found.shape or found.names:
            raise ValueError(f"an array of {found}; expected numbers")
        return found.newbyteorder(self._order)  # type: ignore[arg-type]


def _make_stand_ins() -> Mapping[tuple[str, str], object]:
    # Functions of this call, so that a pickle that changes their defaults changes nothing else.
    def bytes_of(content: bytes | str = b"", *_: object) -> bytes:
        return _bytes_of(content)

    def from_buffer(raw: bytes, dtype: _PickledDtype, shape: Any, order: str, *_: object) -> object:
        result = PickledArray()
        result.array = _array_of(raw, dtype, shape, order)
        return result

    stand_ins: dict[tuple[str, str], object] = {
        ("_codecs", "encode"): lambda text, _encoding: text.encode("latin1"),
        ("numpy", "ndarray"): "numpy.ndarray",
        ("numpy", "dtype"): _PickledDtype,
    }
    for builtins in ("builtins", "__builtin__"):
        stand_ins |= {(builtins, kind.__name__): kind for kind in (set, frozenset, complex)}
        stand_ins |= {(builtins, name): bytes_of for name in ("bytes", "bytearray")}
    for core in ("numpy.core", "numpy._core"):
        stand_ins |= {
            (f"{core}.multiarray", "_reconstruct"): lambda *_: PickledArray(),
            (f"{core}.multiarray", "scalar"): lambda dtype, raw: _array_of(raw, dtype, ()).item(),
            (f"{core}.numeric", "_frombuffer"): from_buffer,
        }
    return stand_ins


def _bytes_of(content: bytes | str) -> bytes:
    """The bytes given, never that number of zeros: a few bytes could ask for gigabytes."""
    return content.encode("latin1") if isinstance(content, str) else b"".join([content])


def _array_of(
    raw: bytes | str, dtype: _PickledDtype, shape: tuple[int, ...], order: str = "C"
) -> NDArray[Any]:
    flat = np.frombuffer(_bytes_of(raw), dtype.dtype())
    return flat.reshape(shape, order="F" if order == "F" else "C")


def _text(word: str | bytes) -> str:
    return word.decode("ascii") if isinstance(word, bytes) else word
