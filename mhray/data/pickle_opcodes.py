"""A reader of pickles that calls nothing a pickle chooses and uses little memory.

CPython's unpickler trusts the sizes in a file: six bytes make it grow its memo by 64 GB. This one
knows the opcodes with which plain data are written and refuses the others. Nearly all there is to
read in a pickle of lists are small numbers: these are taken a thousand at a time, at C speed.

The opcodes are described in the standard library's ``pickletools``.
"""

import pickle
import re
from collections.abc import Callable, Mapping
from struct import Struct
from typing import TypeAlias

from mhray.data.pickle_machine import PickleMachine, UnknownNameError, hashable
from mhray.data.pickle_scalars import (
    latin1,
    long_of_bytes,
    long_of_line,
    quoted,
    raw_unicode,
    utf8,
    whole_or_bool,
)

_Step: TypeAlias = Callable[[PickleMachine], None]

# Picklers add to a list a thousand items at a time.
_RUN = 1000
_LINES_OF_RUN = re.compile(rb"(?:I(?:0|[1-9]\d{0,2})\na){2,1000}+")

# Bytes of what is built: with room for the first items, and for one more in a set.
_LIST, _TUPLE, _TABLE, _MEMBER = 120, 64, 256, 128
_HIGHEST_PROTOCOL = 5
_LONG_BYTES = 2**20


def run_pickle(machine: PickleMachine) -> object:
    """What the pickle holds; the machine's position is then past its end.

    Raises:
        UnknownNameError: it asks for something that plain data do not need.
        ValueError: it is damaged or uses too much memory; TypeError, LookupError and
            ArithmeticError come from functions that are called with values they cannot take.
    """
    while (opcode := machine.read(1)) != pickle.STOP:
        step = _STEPS.get(opcode)
        if step is None:
            raise ValueError(f"{opcode!r} should be an opcode, but is none")
        step(machine)
    return machine.pop()


def _constant(value: object) -> _Step:
    return lambda machine: machine.push(value)


def _number(layout: str) -> _Step:
    number = Struct(layout)
    return lambda machine: machine.push(machine.read_number(number))


def _sized(layout: str, decode: Callable[[bytes], object]) -> _Step:
    size = Struct(layout)
    return lambda machine: machine.push(decode(machine.read(machine.read_number(size))))


def _bytes(layout: str) -> _Step:
    """The bytes of an array are long, and need not be copied to become one."""
    layout_of_size = Struct(layout)

    def step(machine: PickleMachine) -> None:
        size = machine.read_number(layout_of_size)
        machine.push(machine.read(size) if size < _LONG_BYTES else machine.view(size))

    return step


def _line(decode: Callable[[bytes], object]) -> _Step:
    return lambda machine: machine.push(decode(machine.read_line()))


def _tuple(size: int) -> _Step:
    def step(machine: PickleMachine) -> None:
        machine.afford(_TUPLE)
        machine.push(tuple([machine.pop() for _ in range(size)][::-1]))

    return step


def _refused(name: str) -> _Step:
    def step(_: PickleMachine) -> None:
        raise UnknownNameError(f"the opcode {name}")

    return step


def _small_numbers(machine: PickleMachine) -> None:
    """All ``K`` opcodes that follow each other."""
    start = machine.position - 1
    opcodes = machine.content[start : start + 2 * _RUN : 2]
    count = len(opcodes) - len(opcodes.lstrip(pickle.BININT1))
    machine.push_all(machine.read(2 * count - 1)[::2])


def _lines_of_numbers(machine: PickleMachine) -> None:
    """A number in digits, or all small ones that are appended to one list."""
    run = _LINES_OF_RUN.match(machine.content, machine.position - 1)
    if run is None:
        machine.push(whole_or_bool(machine.read_line()))
    else:
        machine.top(list).extend(map(int, run[0][1:-2].split(b"\naI")))
        machine.position = run.end()


def _list(machine: PickleMachine) -> None:
    machine.afford(_LIST)
    machine.push([])


def _collected_list(machine: PickleMachine) -> None:
    machine.afford(_LIST)
    machine.push(machine.collect())


def _collected_tuple(machine: PickleMachine) -> None:
    machine.afford(_TUPLE)
    machine.push(tuple(machine.collect()))


def _append(machine: PickleMachine) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _extend(machine: PickleMachine) -> None:
    values = machine.collect()
    machine.top(list).extend(values)


def _dict(machine: PickleMachine) -> None:
    machine.afford(_TABLE)
    machine.push({})


def _collected_dict(machine: PickleMachine) -> None:
    values = machine.collect()
    _dict(machine)
    machine.put(values[::2], values[1::2])


def _set_item(machine: PickleMachine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.put([key], [value])


def _set_items(machine: PickleMachine) -> None:
    values = machine.collect()
    machine.put(values[::2], values[1::2])


def _set(machine: PickleMachine) -> None:
    machine.afford(_TABLE)
    machine.push(set())


def _add_items(machine: PickleMachine) -> None:
    members = machine.collect()
    machine.afford(_MEMBER * len(members))
    machine.top(set).update(hashable(members))


def _frozenset(machine: PickleMachine) -> None:
    members = machine.collect()
    machine.afford(_TABLE + _MEMBER * len(members))
    machine.push(frozenset(hashable(members)))


def _named_in_lines(machine: PickleMachine) -> None:
    module_name, global_name = machine.read_line(), machine.read_line()
    machine.push(machine.find(module_name.decode(), global_name.decode()))


def _named_on_stack(machine: PickleMachine) -> None:
    global_name, module_name = machine.pop(), machine.pop()
    if type(module_name) is not str or type(global_name) is not str:
        raise TypeError("two texts should be on the stack, to make a name")
    machine.push(machine.find(module_name, global_name))


def _instance(machine: PickleMachine) -> None:
    _named_in_lines(machine)
    raise UnknownNameError("the opcode INST")


def _reduce(machine: PickleMachine) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments)


def _build(machine: PickleMachine) -> None:
    machine.build(machine.pop())


def _ignore(_: object) -> None:
    pass


def _duplicate(machine: PickleMachine) -> None:
    machine.push(machine.top(object))


def _protocol(machine: PickleMachine) -> None:
    (found,) = machine.read(1)
    if found > _HIGHEST_PROTOCOL:
        raise ValueError(f"the protocol should be 0 to {_HIGHEST_PROTOCOL}, but is {found}")


def _frame(machine: PickleMachine) -> None:
    size = machine.read_number(Struct("<Q"))
    if size > len(machine.content) - machine.position:
        raise ValueError(f"a frame of {size} bytes should follow, but the file ends before")


_SHORT, _LONG, _LONGER = "B", "<I", "<Q"

_STEPS: Mapping[bytes, _Step] = {
    pickle.NONE: _constant(None),
    pickle.NEWTRUE: _constant(True),
    pickle.NEWFALSE: _constant(False),
    pickle.EMPTY_TUPLE: _constant(()),
    pickle.BININT1: _small_numbers,
    pickle.BININT2: _number("<H"),
    pickle.BININT: _number("<i"),
    pickle.BINFLOAT: _number(">d"),
    pickle.LONG1: _sized(_SHORT, long_of_bytes),
    pickle.LONG4: _sized(_LONG, long_of_bytes),
    pickle.INT: _lines_of_numbers,
    pickle.LONG: _line(long_of_line),
    pickle.FLOAT: _line(float),
    pickle.STRING: _line(quoted),
    pickle.SHORT_BINSTRING: _sized(_SHORT, latin1),
    pickle.BINSTRING: _sized(_LONG, latin1),
    pickle.UNICODE: _line(raw_unicode),
    pickle.SHORT_BINUNICODE: _sized(_SHORT, utf8),
    pickle.BINUNICODE: _sized(_LONG, utf8),
    pickle.BINUNICODE8: _sized(_LONGER, utf8),
    pickle.SHORT_BINBYTES: _bytes(_SHORT),
    pickle.BINBYTES: _bytes(_LONG),
    pickle.BINBYTES8: _bytes(_LONGER),
    pickle.BYTEARRAY8: _bytes(_LONGER),
    pickle.EMPTY_LIST: _list,
    pickle.LIST: _collected_list,
    pickle.APPEND: _append,
    pickle.APPENDS: _extend,
    pickle.TUPLE: _collected_tuple,
    pickle.TUPLE1: _tuple(1),
    pickle.TUPLE2: _tuple(2),
    pickle.TUPLE3: _tuple(3),
    pickle.EMPTY_DICT: _dict,
    pickle.DICT: _collected_dict,
    pickle.SETITEM: _set_item,
    pickle.SETITEMS: _set_items,
    pickle.EMPTY_SET: _set,
    pickle.ADDITEMS: _add_items,
    pickle.FROZENSET: _frozenset,
    pickle.MARK: PickleMachine.mark,
    pickle.POP: lambda machine: _ignore(machine.pop()),
    pickle.POP_MARK: lambda machine: _ignore(machine.collect()),
    pickle.DUP: _duplicate,
    pickle.PUT: lambda machine: machine.remember(int(machine.read_line())),
    pickle.BINPUT: lambda machine: machine.remember(machine.read_number(Struct(_SHORT))),
    pickle.LONG_BINPUT: lambda machine: machine.remember(machine.read_number(Struct(_LONG))),
    pickle.MEMOIZE: PickleMachine.remember_next,
    pickle.GET: lambda machine: machine.recall(int(machine.read_line())),
    pickle.BINGET: lambda machine: machine.recall(machine.read_number(Struct(_SHORT))),
    pickle.LONG_BINGET: lambda machine: machine.recall(machine.read_number(Struct(_LONG))),
    pickle.GLOBAL: _named_in_lines,
    pickle.STACK_GLOBAL: _named_on_stack,
    pickle.REDUCE: _reduce,
    pickle.BUILD: _build,
    pickle.PROTO: _protocol,
    pickle.FRAME: _frame,
    pickle.INST: _instance,
    pickle.OBJ: _refused("OBJ"),
    pickle.NEWOBJ: _refused("NEWOBJ"),
    pickle.NEWOBJ_EX: _refused("NEWOBJ_EX"),
    pickle.PERSID: _refused("PERSID"),
    pickle.BINPERSID: _refused("BINPERSID"),
    pickle.EXT1: _refused("EXT1"),
    pickle.EXT2: _refused("EXT2"),
    pickle.EXT4: _refused("EXT4"),
    pickle.NEXT_BUFFER: _refused("NEXT_BUFFER"),
    pickle.READONLY_BUFFER: _refused("READONLY_BUFFER"),
}
