import pickle
import tracemalloc
from pathlib import Path
from struct import pack

import numpy as np
import pytest

from mhray.data.pickle_batch import parse_batch
from mhray.errors import DataFormatError

BATCH = Path("train_batch")
MANY = 2**14
MIB = 2**20
TOO_LARGE = "would become many times as many in memory"
ONE_VALUE = pickle.dumps(np.zeros(1, np.uint8), protocol=2)[2:-1]
RECONSTRUCT = (
    b"cnumpy.core.multiarray\n_reconstruct\nq\x00cnumpy\nndarray\nK\x00\x85U\x01b\x87q\x01"
)
STATE = (
    b"(K\x01M\xff\xff\x85cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
    b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89"
    b"T\xff\xff\x00\x00%stq\x02" % (b"x" * 65535)
)


def peak_of_reading(content):
    """The most memory in use at once, in bytes, and what was said."""
    tracemalloc.start()
    try:
        parse_batch(content, BATCH)
    except DataFormatError as error:
        return tracemalloc.get_traced_memory()[1], str(error)
    else:
        return tracemalloc.get_traced_memory()[1], ""
    finally:
        tracemalloc.stop()


def as_data(content):
    return b"}(U\x04data" + content + b"U\x06labelsNu."


BOMBS = {
    "nested lists": (b"]" * 4 * MANY + b"a" * (4 * MANY - 1) + b".", TOO_LARGE),
    "lists": (b"(" + b"]" * 4 * MANY + b"l.", TOO_LARGE),
    "dicts": (b"}" * 2 * MANY, TOO_LARGE),
    "sets": (b"\x8f" * 2 * MANY, TOO_LARGE),
    "frozensets": (b"(\x91" * 2 * MANY, TOO_LARGE),
    "nested tuples": (b"N" + b"\x85" * 4 * MANY + b".", TOO_LARGE),
    "tuples that hold themselves twice": (b")" + b"2\x86" * 5 * MANY + b".", TOO_LARGE),
    "keys": (
        b"}(" + b"".join(b"J" + pack("<I", key) + b"N" for key in range(4 * MANY)) + b"u.",
        TOO_LARGE,
    ),
    "members": (
        b"\x8f(" + b"".join(b"M" + pack("<H", key) for key in range(2 * MANY)) * 2 + b"\x90.",
        TOO_LARGE,
    ),
    "copies of a text": (
        b"c_codecs\nencode\nq\x00T\xff\xff\x00\x00%s\x85q\x01%s."
        % (b"x" * 65535, b"h\x00h\x01R" * MANY),
        TOO_LARGE,
    ),
    "copies of a set": (
        b"cbuiltins\nset\nq\x00](%se\x85q\x01%s."
        % (b"".join(b"M" + pack("<H", key) for key in range(2**14)), b"h\x00h\x01R" * MANY),
        TOO_LARGE,
    ),
    "arrays": (RECONSTRUCT + b"h\x00h\x01R" * MANY + b".", TOO_LARGE),
    "copies of an array": (RECONSTRUCT + STATE + b"h\x00h\x01Rh\x02b" * MANY + b".", TOO_LARGE),
    "rows named again and again": (
        as_data(b"](](%seq\x00%se" % (b"K\x07" * 8192, b"h\x00" * MANY)),
        "names the same rows again and again, 134225920 bytes in all, each of them 16385 times",
    ),
    "short rows named again and again": (
        as_data(b"](](K\x07eq\x00%se" % (b"h\x00" * MANY)),
        "'labels' is of type NoneType",
    ),
    "arrays named again and again": (
        as_data(b"](%sr\x09\x00\x00\x00%se" % (ONE_VALUE, b"h\x09" * MANY)),
        "'labels' is of type NoneType",
    ),
    "marks": (b"(" * MANY, "1000 marks are open at once"),
    "the memo, in binary": (b"]r\xff\xff\xff\xff.", "number 4294967295 of the memo is used before"),
    "the memo, in digits": (b"]p4294967295\n.", "number 4294967295 of the memo is used before"),
    "the memo, in many digits": (b"]p%s\n." % (b"9" * 5000), "Exceeds the limit (4300 digits)"),
    "bytes": (b"B\xff\xff\xff\xff.", "4294967295 bytes should follow, but 1 do"),
    "many bytes": (b"\x8e" + pack("<Q", 2**62), f"{2**62} bytes should follow, but 0 do"),
    "a bytearray": (b"\x96" + pack("<Q", 2**63), f"{2**63} bytes should follow, but 0 do"),
    "a text": (b"X\xff\xff\xff\xff", "4294967295 bytes should follow, but 0 do"),
    "a long text": (b"\x8d" + pack("<Q", 2**40), f"{2**40} bytes should follow, but 0 do"),
    "a text of Python 2": (b"T\xff\xff\xff\x7f", "2147483647 bytes should follow, but 0 do"),
    "a whole number": (b"\x8b\xff\xff\xff\x7f", "2147483647 bytes should follow, but 0 do"),
    "a frame": (b"\x95" + pack("<Q", 2**40), f"a frame of {2**40} bytes should follow, but"),
    "digits": (b"I" + b"9" * 5000 + b"\n.", "Exceeds the limit (4300 digits)"),
    "digits of a fraction": (b"F" + b"9" * MANY + b"x\n.", "could not convert string to float"),
    "the size of bytes": (
        b"cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.",
        "expected a bytes-like object",
    ),
    "the size of a bytearray": (
        b"c__builtin__\nbytearray\nJ\xff\xff\xff\x7f\x85R.",
        "expected a bytes",
    ),
    "a number in a message": (
        as_data(b"](](\x8b\x00\x00\x01\x00%see" % (b"\x7f" * 2**16)),
        "found a number of 524287 bits in 'data'",
    ),
    "a list in a message": (
        as_data(b"](](]q\x05(%seee" % (b"h\x05" * 10)),
        "sample 0: found a list in 'data'; expected whole numbers, 0 to 255",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_file_takes_many_times_its_size(bomb):
    content, problem = BOMBS[bomb]
    peak, said = peak_of_reading(content)
    assert problem in said
    assert said.startswith("train_batch: ")
    assert peak < 24 * len(content) + 4 * MIB


IMAGES = np.random.default_rng(0).integers(256, size=(100, 3072), dtype=np.uint8)
LABELS = [[2, 0, 1, 1, 200]] * 100


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("form", "multiple"),
    [(np.asarray, 3.5), (np.ndarray.tolist, 5.5), (list, 3.5), (np.int64, 3.5)],
)
def test_an_honest_file_takes_little_more_than_its_size(protocol, form, multiple):
    content = pickle.dumps({"data": form(IMAGES), "labels": LABELS}, protocol)
    peak, said = peak_of_reading(content)
    assert not said
    assert peak < multiple * len(content) + 0.1 * MIB


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        (b"]", "list"),
        (b"N\x85", "tuple"),
        (b")" + b"2\x86" * 30, "tuple"),
        (b"\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00\x01", "int"),
        (b"cbuiltins\ncomplex\nK\x01K\x02\x86R", "complex"),
        (b"cnumpy\nndarray\n", "Named"),
    ],
)
def test_a_key_that_may_take_long_to_hash_is_refused(key, kind):
    problem = f"a {kind} is a key; only texts and numbers of up to 64 bits may be"
    for content in (
        b"}" + key + b"Ns.",
        b"(" + key + b"Nd.",
        b"\x8f(" + key + b"\x90.",
        b"(" + key + b"\x91.",
        b"cbuiltins\nset\n](" + key + b"e\x85R.",
        b"cbuiltins\nfrozenset\n](" + key + b"e\x85R.",
    ):
        assert f": {problem})" in peak_of_reading(content)[1]
