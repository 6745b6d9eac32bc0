"""Numbers and texts in the bytes that follow a pickle's opcode.

What they raise of damaged bytes is a ValueError.
"""

import codecs
import re

# What Python 2 writes for a text; other escapes would be guessed at, and warned of.
_ESCAPED = re.compile(rb"(?:[^\\]|\\[\\'\"nrt]|\\x[0-9a-f]{2})*+", re.DOTALL)


def whole_or_bool(line: bytes) -> int:
    """The number in a line of digits, or what protocol 0 writes for a bool."""
    return line == b"01" if line in {b"00", b"01"} else int(line)


def long_of_line(line: bytes) -> int:
    """The number in a line that Python 2 may have closed with ``L``."""
    return int(line.removesuffix(b"L"))


def long_of_bytes(content: bytes) -> int:
    """The number in bytes, the lowest first, with a sign."""
    return int.from_bytes(content, "little", signed=True)


def latin1(content: bytes) -> str:
    """The text of Python 2, byte by byte, as NumPy reads it."""
    return content.decode("latin1")


def utf8(content: bytes) -> str:
    """The text, lone surrogates included."""
    return content.decode("utf-8", "surrogatepass")


def raw_unicode(line: bytes) -> str:
    """The text in a line of protocol 0."""
    return line.decode("raw-unicode-escape")


def quoted(line: bytes) -> str:
    """The text that Python 2 wrote as source code in protocol 0."""
    is_quoted = len(line) > 1 and line[:1] == line[-1:] and line[:1] in {b"'", b'"'}
    if not is_quoted or not _ESCAPED.fullmatch(line, 1, len(line) - 1):
        raise ValueError("a text in quotes should follow")
    return latin1(codecs.escape_decode(line[1:-1])[0])
