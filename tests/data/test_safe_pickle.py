import builtins
import copyreg
import os
import pickle
import runpy
import struct
from pathlib import Path

import numpy as np
import pytest

from mhray.data.pickle_batch import parse_batch
from mhray.data.records import matrix_of
from mhray.data.safe_pickle import PickledArray, parse_pickle
from mhray.errors import DataFormatError, UnsafePickleError

BATCH = Path("train_batch")
PICKLES = Path(__file__).parent / "pickles"
BUILD = runpy.run_path(str(PICKLES / "build.py"))
IMAGES, LABELS = BUILD["batch"]()


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def load(path):
    return parse_pickle(path.read_bytes(), path)


def saved(tmp_path, content, protocol=4):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize(
    ("function", "arguments", "name"),
    [
        (os.system, ("touch {marker}",), "posix.system"),
        (builtins.eval, ("open('{marker}', 'w')",), "builtins.eval"),
        (builtins.exec, ("open('{marker}', 'w')",), "builtins.exec"),
        (builtins.getattr, ("", "join"), "builtins.getattr"),
        (np.load, ("{marker}",), "numpy.load"),
        (np.fromfile, ("{marker}",), "numpy.fromfile"),
        (copyreg._reconstructor, (dict, object, None), "copyreg._reconstructor"),
    ],
)
@pytest.mark.parametrize("protocol", range(6))
def test_code_is_refused_by_name_before_it_runs(tmp_path, function, arguments, name, protocol):
    marker = tmp_path / "ran"
    call = Calls(function, *(a.format(marker=marker) if a is str(a) else a for a in arguments))
    path = saved(tmp_path, {"data": [call]}, protocol)
    with pytest.raises(UnsafePickleError) as error:
        load(path)
    assert name.split(".")[1] in str(error.value)
    assert str(error.value).startswith(f"{path}: asks for ")
    assert not marker.exists()


def test_a_refusal_says_what_to_write(tmp_path):
    path = saved(tmp_path, Calls(builtins.eval, "1"))
    with pytest.raises(UnsafePickleError) as error:
        load(path)
    assert str(error.value) == (
        f"{path}: asks for builtins.eval, which plain arrays do not need; nothing was called. "
        "Write the batch as a dict of NumPy arrays or lists"
    )


@pytest.mark.parametrize("protocol", range(6))
def test_a_chain_of_calls_is_refused_at_its_first_name(tmp_path, protocol):
    inner = Calls(builtins.eval, "open('ran', 'w')")
    path = saved(tmp_path, Calls(builtins.map, os.system, [Calls(builtins.list, inner)]), protocol)
    with pytest.raises(UnsafePickleError, match=r"asks for (builtins|itertools)\.i?map"):
        load(path)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(inumpy\nndarray\n.", "the opcode INST"),
        (b"(cos\nsystem\nU\x04trueo.", "os.system"),
        (b"(cnumpy\nndarray\no.", "the opcode OBJ"),
        (b"cnumpy\nndarray\n)\x81.", "the opcode NEWOBJ"),
        (b"\x80\x04cnumpy\ndtype\n)}\x92.", "the opcode NEWOBJ_EX"),
        (b"\x8c\x02os\x8c\x06system\x93.", "os.system"),
        (b"\x8c\x05numpy\x8c\x0bndarray.dot\x93.", "numpy.ndarray.dot"),
        (b"\x8c\x08builtins\x8c\x0bset.__doc__\x93.", "builtins.set.__doc__"),
        (b"P7\n.", "the opcode PERSID"),
        (b"K\x07Q.", "the opcode BINPERSID"),
        (b"\x82\x01.", "the opcode EXT1"),
        (b"\x83\x01\x00.", "the opcode EXT2"),
        (b"\x84\x01\x00\x00\x00.", "the opcode EXT4"),
        (b"\x80\x05\x97.", "the opcode NEXT_BUFFER"),
        (b"\x80\x05N\x98.", "the opcode READONLY_BUFFER"),
        (b"c__builtin__\neval\n.", "__builtin__.eval"),
        (b"c__builtin__\ngetattr\n.", "__builtin__.getattr"),
        (b"cbuiltins\ndict\n.", "builtins.dict"),
        (b"c__main__\n__builtins__\n.", "__main__.__builtins__"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (b"cnumpy\nmemmap\n.", "numpy.memmap"),
        (b"cnumpy\nmatrix\n.", "numpy.matrix"),
        (b"cnumpy.f2py.crackfortran\nmyeval\n.", "numpy.f2py.crackfortran.myeval"),
        (b"cnumpy.testing._private.utils\nrunstring\n.", "numpy.testing._private.utils.runstring"),
        (b"cnumpy.lib.npyio\nload\n.", "numpy.lib.npyio.load"),
        (b"cnumpy.core._internal\n_reconstruct\n.", "numpy.core._internal._reconstruct"),
        (b"cnumpy.ctypeslib\nload_library\n.", "numpy.ctypeslib.load_library"),
        (b"cnumpy.core.multiarray\nfromfile\n.", "numpy.core.multiarray.fromfile"),
        (b"cnumpy.core.memmap\nmemmap\n.", "numpy.core.memmap.memmap"),
        (b"cx\x1b[2J\ny\xc3\xa9\n.", r"x\x1b[2J.yé"),
    ],
)
def test_a_hand_made_gadget_is_refused_by_name(content, name):
    with pytest.raises(UnsafePickleError) as error:
        parse_pickle(b"}U\x04data" + content, BATCH)
    assert str(error.value).startswith(f"train_batch: asks for {name}, which plain arrays do not ")


RECONSTRUCT = b"cnumpy.core.multiarray\n_reconstruct\n"
DTYPE = b"cnumpy\ndtype\n(U\x02%sK\x00K\x01tR"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (RECONSTRUCT + b"(cnumpy\ndtype\nK\x00\x85U\x01btR.", "an array should be a plain one"),
        (RECONSTRUCT + b")R.", "_reconstruct() missing 1 required positional argument: 'subtype'"),
        (b"N)R.", "a name and a tuple should be on the stack, to be called"),
        (b"cnumpy\nndarray\nNR.", "a name and a tuple should be on the stack, to be called"),
        (b"cnumpy\nndarray\n}b.", "a StandIn should be on the stack, not Named"),
        (b"]}b.", "a StandIn should be on the stack, not list"),
        (b"c_codecs\nencode\n(N}U\x0c__defaults__)stb.", "a StandIn should be on the stack, not "),
        (DTYPE % b"O8" + b"}b.", "not enough values to unpack"),
    ],
)
def test_what_a_name_stands_for_cannot_be_turned_against_us(content, problem):
    with pytest.raises(DataFormatError) as error:
        parse_pickle(content, BATCH)
    assert f": {problem}" in str(error.value)
    assert str(error.value).startswith("train_batch: is not a whole pickle of plain data (byte ")


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        np.arange(6, dtype=">i4")[::2],
        np.zeros((0, 4), np.uint8),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4).transpose(1, 0, 2),
        np.array(7, np.uint8),
        np.array([1.5, 2.5]),
        np.array([True, False]),
    ],
)
def test_arrays_of_every_protocol_are_read(tmp_path, array, protocol):
    found = load(saved(tmp_path, {"data": array}, protocol))["data"]
    assert isinstance(found, PickledArray)
    np.testing.assert_array_equal(found.array, array)


@pytest.mark.parametrize("protocol", range(6))
def test_builtin_containers_and_scalars_are_read(tmp_path, protocol):
    content = [{b"k": (1, 2.5, None, True, "é", b"\xff")}, {3}, frozenset({4}), 2j, b""]
    assert load(saved(tmp_path, [*content, bytearray(b"ab")], protocol)) == [*content, b"ab"]


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_scalars_become_plain_numbers(tmp_path, protocol):
    found = load(saved(tmp_path, [np.int64(32), np.float32(0.5)], protocol))
    assert found == [32, 0.5]
    assert type(found[0]) is int


@pytest.mark.parametrize("path", sorted(PICKLES.glob("python*")), ids=lambda path: path.name)
def test_what_other_pythons_and_numpys_wrote_is_read(path):
    found = parse_batch(path.read_bytes(), path)
    np.testing.assert_array_equal(found.pixels, IMAGES)
    np.testing.assert_array_equal(found.values, LABELS[:, 2::2])
    assert found.ids == (0, 1)


def test_the_stored_pickles_are_of_every_writer_and_protocol():
    writers = {path.name.rpartition("-")[0] for path in PICKLES.glob("python*")}
    assert writers == {
        *(
            f"python2.7-numpy1.16-{module}-{n}"
            for module in ("pickle", "cPickle")
            for n in range(3)
        ),
        *(f"python3.11-numpy{numpy}-pickle-{n}" for numpy in ("1.26", "2.4") for n in range(6)),
    }


@pytest.mark.parametrize("content", BUILD["forms"]().values(), ids=BUILD["forms"]())
@pytest.mark.parametrize("protocol", range(6))
def test_what_this_numpy_writes_is_read(content, protocol):
    found = parse_batch(pickle.dumps(content, protocol=protocol), BATCH)
    np.testing.assert_array_equal(found.pixels, IMAGES)


@pytest.mark.parametrize("array", [np.array(["é", "text"]), np.array([b"a", b"bc"])])
def test_an_array_of_texts_may_stand_beside_the_images(tmp_path, array):
    found = load(saved(tmp_path, {"filenames": array, "first": array[0]}))
    np.testing.assert_array_equal(found["filenames"].array, array)
    assert found["first"] == array[0]


@pytest.mark.parametrize("array", [np.array([{}], object), np.zeros(2, [("a", "u1")])])
def test_arrays_of_anything_but_numbers_and_texts_are_refused(tmp_path, array):
    path = saved(tmp_path, array)
    with pytest.raises(DataFormatError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: is not a whole pickle of plain data (byte ")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80\x04K", b"\x80\x04}\x94\x8c\x01", b"N)R."]
)
def test_a_file_that_is_no_pickle_is_refused(tmp_path, content):
    path = tmp_path / "batch"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: is not a whole pickle of plain data (byte ")
    assert str(error.value).endswith("); write it with pickle.dump")


def test_bytes_after_the_end_are_refused(tmp_path):
    path = saved(tmp_path, {})
    path.write_bytes(path.read_bytes() + b"xyz")
    with pytest.raises(DataFormatError) as error:
        load(path)
    assert str(error.value) == f"{path}: found 3 bytes after the end of the pickle; expected 0"


def test_a_number_is_never_taken_for_a_size(tmp_path):
    for kind in (b"bytes", b"bytearray"):
        path = tmp_path / "batch"
        path.write_bytes(
            b"cbuiltins\n" + kind + b"\n" + b"\x8a\x05" + struct.pack("<Q", 10**11)[:5] + b"\x85R."
        )
        with pytest.raises(DataFormatError, match="not a whole pickle"):
            load(path)


def test_a_forged_shape_is_refused(tmp_path):
    whole = pickle.dumps(np.zeros(300, np.uint8), protocol=2)
    path = tmp_path / "batch"
    path.write_bytes(whole.replace(b"M,\x01", b"M\xff\xff", 1))
    with pytest.raises(DataFormatError, match="cannot reshape"):
        load(path)
    path.write_bytes(whole.replace(b"M,\x01\x85", b"J\xff\xff\xff\xff\x85", 1))
    with pytest.raises(DataFormatError, match="a shape should be a tuple of whole numbers"):
        load(path)


def test_a_large_array_lies_where_the_file_was_read(tmp_path):
    content = pickle.dumps({"data": np.zeros((2, 2**20), np.uint8)}, protocol=4)
    array = parse_pickle(content, tmp_path)["data"].array
    assert np.shares_memory(array, np.frombuffer(content, np.uint8))


@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_long_rows_may_be_bytes(tmp_path, kind):
    row = kind(range(256)) * 2**13
    found = parse_pickle(pickle.dumps([row, row[::-1]], protocol=5), tmp_path)
    expected = [list(row), list(row[::-1])]
    assert matrix_of(found, tmp_path, "data").tolist() == expected
