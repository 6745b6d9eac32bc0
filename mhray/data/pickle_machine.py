"""The machine that a pickle's opcodes drive: a stack, marks, a memo, and a budget of memory.

Whatever a file does to it, it calls only functions of ours, keeps only what they return, and builds
at most :data:`GROWTH` times the file's size; the stack and the memo take up to 8 times as much.
"""

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Any, TypeVar

from mhray.errors import printable

# The densest files that make sense, lists of one pixel and one label, build 16 times their size.
GROWTH, ALWAYS_ALLOWED = 16, 2 * 2**20  # bytes built, for each byte of the file; bytes
_DEEPEST = 1000  # marks that are open at once

# A tuple that holds itself twice, thirty deep, takes for ever to hash; whole numbers of more than
# 64 bits can be chosen so that their hashes are all the same.
_KEYS = frozenset((str, bytes, int, float, bool, type(None)))
_LONGEST_KEY = 64  # bits
_BYTES_OF_ITEM = 128  # of a dict or a set, in a table that has just grown

_LONGEST_NAME = 200  # characters, in a message

_NOTHING = object()
_Bytes = TypeVar("_Bytes", bytes, memoryview)


class StandIn(ABC):
    """An object that takes what a pickle says of its state; ``sys.getsizeof`` says how much."""

    __slots__ = ()

    @abstractmethod
    def take(self, state: Any) -> None:
        """Check the state and keep it."""


@dataclass(frozen=True)
class Named:
    """What a name in a pickle stands for: a function of ours, called with the pickle's values."""

    call: Callable[..., object]


class UnknownNameError(Exception):
    """A pickle asks for something that plain data do not need."""


class PickleMachine:
    """The state of one reading; its errors are ValueErrors and TypeErrors.

    Attributes:
        position: of the next byte to be read.
    """

    def __init__(self, content: bytes, names: Mapping[tuple[str, str], Named]) -> None:
        self.content = content
        self.position = 0
        self._names = names
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        self._memo: list[Any] = []
        self._affordable = ALWAYS_ALLOWED + GROWTH * len(content)

    def read(self, size: int) -> bytes:
        """The next bytes, as many as asked for."""
        return self._passed(self.content[self.position : self.position + size], size)

    def view(self, size: int) -> memoryview:
        """The next bytes where they lie in the content, without a copy."""
        return self._passed(memoryview(self.content)[self.position : self.position + size], size)

    def read_number(self, layout: Struct) -> Any:
        """The next bytes as one number."""
        return layout.unpack(self.read(layout.size))[0]

    def read_line(self) -> bytes:
        """The bytes up to the next newline, which is passed."""
        end = self.content.find(b"\n", self.position)
        if end < 0:
            raise ValueError("a line should follow, but has no end")
        return self.read(end + 1 - self.position)[:-1]

    def afford(self, size: int) -> None:
        """Take bytes out of the budget."""
        self._affordable -= size
        if self._affordable < 0:
            raise ValueError(f"{len(self.content)} bytes would become many times as many in memory")

    def push(self, value: object) -> None:
        """Lay a value on the stack."""
        self._stack.append(value)

    def push_all(self, values: Iterable[object]) -> None:
        """Lay values on the stack."""
        self._stack.extend(values)

    def pop(self) -> Any:
        """Take the value off the top of the stack."""
        if not self._stack:
            raise ValueError("a value should be on the stack, but none is")
        return self._stack.pop()

    def top(self, kind: type[Any]) -> Any:
        """The value on top of the stack, which stays there."""
        found = self.pop()
        if not isinstance(found, kind):
            raise TypeError(f"a {kind.__name__} should be on the stack, not {type(found).__name__}")
        self._stack.append(found)
        return found

    def mark(self) -> None:
        """Begin to collect values."""
        if len(self._below) == _DEEPEST:
            raise ValueError(f"{_DEEPEST} marks are open at once")
        self._below.append(self._stack)
        self._stack = []

    def collect(self) -> list[Any]:
        """The values since the last mark, which is closed."""
        if not self._below:
            raise ValueError("a mark should be open, but none is")
        found, self._stack = self._stack, self._below.pop()
        return found

    def remember(self, index: int) -> None:
        """Keep the value on top under a number."""
        # Writers count up, and each number is preceded by a byte for its value and one for its put.
        if not 0 <= index <= self.position // 2:
            raise ValueError(f"number {index} of the memo is used before those below it can be")
        self._memo += [_NOTHING] * (index + 1 - len(self._memo))
        self._memo[index] = self.top(object)

    def remember_next(self) -> None:
        """Keep the value on top under the next number."""
        self._memo.append(self.top(object))

    def recall(self, index: int) -> None:
        """Lay what is kept under a number on the stack."""
        if not 0 <= index < len(self._memo) or self._memo[index] is _NOTHING:
            raise ValueError(f"number {index} of the memo is asked for, but was never kept")
        self.push(self._memo[index])

    def find(self, module_name: str, global_name: str) -> Named:
        """Our function for a name.

        Raises:
            UnknownNameError: there is none.
        """
        try:
            return self._names[module_name, global_name]
        except KeyError:
            raise UnknownNameError(
                printable(f"{module_name}.{global_name}", _LONGEST_NAME)
            ) from None

    def call(self, function: object, arguments: object) -> None:
        """Lay on the stack what a function of ours makes of a pickle's values."""
        if not isinstance(function, Named) or not isinstance(arguments, tuple):
            raise TypeError("a name and a tuple should be on the stack, to be called")
        result = function.call(*arguments)
        self.afford(sys.getsizeof(result))
        self.push(result)

    def build(self, state: object) -> None:
        """Give a state to the stand-in on top of the stack."""
        stand_in = self.top(StandIn)
        stand_in.take(state)
        self.afford(sys.getsizeof(stand_in))

    def put(self, keys: Sequence[object], values: Sequence[object]) -> None:
        """Put items into the dict on top of the stack."""
        self.afford(_BYTES_OF_ITEM * len(keys))
        self.top(dict).update(zip(hashable(keys), values, strict=True))

    def _passed(self, found: _Bytes, size: int) -> _Bytes:
        if len(found) != size:
            raise ValueError(f"{size} bytes should follow, but {len(found)} do")
        self.position += size
        return found


def hashable(values: Iterable[Any]) -> list[Any]:
    """The values, if they may be keys of a dict or members of a set.

    Raises:
        TypeError: one may not.
    """
    keys = list(values)
    for key in keys:
        is_long = isinstance(key, int) and key.bit_length() > _LONGEST_KEY
        if is_long or type(key) not in _KEYS:
            raise TypeError(
                f"a {type(key).__name__} is a key; only texts and numbers of up to "
                f"{_LONGEST_KEY} bits may be"
            )
    return keys
