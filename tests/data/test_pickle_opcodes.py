import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.data.safe_pickle import parse_pickle
from mhray.errors import DataFormatError

BATCH = Path("train_batch")
KEYS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
SCALARS = KEYS | st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False)
VALUES = st.recursive(
    SCALARS | st.sets(KEYS) | st.frozensets(KEYS) | st.binary().map(bytearray),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner),
    max_leaves=20,
)
PROTOCOLS = st.integers(0, 5)


@given(VALUES, PROTOCOLS)
def test_plain_values_are_read_as_pickle_reads_them(value, protocol):
    assert parse_pickle(pickle.dumps(value, protocol), BATCH) == value


@given(st.lists(st.integers(0, 300)), st.integers(1, 700), PROTOCOLS)
def test_long_lists_of_numbers_are_read_as_pickle_reads_them(numbers, times, protocol):
    value = {"data": [numbers * times, [7] * times, tuple(numbers)]}
    assert parse_pickle(pickle.dumps(value, protocol), BATCH) == value


@pytest.mark.parametrize("protocol", range(6))
def test_false_and_true_between_digits_stay_what_they_are(protocol):
    found = parse_pickle(pickle.dumps([0, False, 1, True, 1, 0], protocol), BATCH)
    assert str(found) == "[0, False, 1, True, 1, 0]"


@pytest.mark.parametrize("protocol", range(6))
def test_what_is_named_twice_is_one_object(protocol):
    row = [1, 2]
    found = parse_pickle(pickle.dumps([row, row], protocol), BATCH)
    assert found[0] is found[1]


@pytest.mark.parametrize(
    "content",
    [
        b"NN0.",
        b"N(K\x01K\x021.",
        b"(K\x01K\x02l.",
        b"(K\x01K\x02d.",
        b"]K\x0122\x87.",
        b"]p1\ng1\n\x86.",
        b"]q\x01h\x01\x86.",
        b"]r\x01\x00\x00\x00j\x01\x00\x00\x00\x86.",
        b"I-7\n.",
        b"L-7L\n.",
        b"L7\n.",
        b"S'\\x41\\\\\\'\\n'\n.",
        b'S"it\'s"\n.',
        b"V\\u20ac\n.",
        b"F1e3\n.",
        b"\x8b\x02\x00\x00\x00\x00\x80.",
        b"\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00N.",
    ],
)
def test_opcodes_do_what_they_do_in_pickle(content):
    found = parse_pickle(content, BATCH)
    assert found == pickle.loads(content)


@pytest.mark.parametrize(
    ("content", "byte", "problem"),
    [
        (b"\xff.", 1, "b'\\xff' should be an opcode, but is none"),
        (b"\x80\x06N.", 2, "the protocol should be 0 to 5, but is 6"),
        (b".", 1, "a value should be on the stack, but none is"),
        (b"Ne.", 2, "a mark should be open, but none is"),
        (b"(NNe.", 4, "a value should be on the stack, but none is"),
        (b"NNa.", 3, "a list should be on the stack, not NoneType"),
        (b"}(Nu.", 4, "zip() argument 2 is shorter than argument 1"),
        (b"h\x00.", 2, "number 0 of the memo is asked for, but was never kept"),
        (b"]q\x01h\x00.", 5, "number 0 of the memo is asked for, but was never kept"),
        (b"g-1\n.", 4, "number -1 of the memo is asked for, but was never kept"),
        (b"S'a\n.", 4, "a text in quotes should follow"),
        (b"S'\\d'\n.", 6, "a text in quotes should follow"),
        (b"I7", 1, "a line should follow, but has no end"),
        (b"K", 1, "1 bytes should follow, but 0 do"),
        (b"K\x01N\x93.", 4, "two texts should be on the stack, to make a name"),
    ],
)
def test_damage_is_named_with_its_byte(content, byte, problem):
    with pytest.raises(DataFormatError) as error:
        parse_pickle(content, BATCH)
    assert str(error.value) == (
        f"train_batch: is not a whole pickle of plain data (byte {byte}: {problem}); "
        "write it with pickle.dump"
    )
