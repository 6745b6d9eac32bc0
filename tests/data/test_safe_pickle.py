import builtins
import copyreg
import os
import pickle
import struct

import numpy as np
import pytest

from mhray.data.safe_pickle import PickledArray, load_pickle
from mhray.errors import DataFormatError, UnsafePickleError


class Calls:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


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
        load_pickle(path)
    assert name.split(".")[1] in str(error.value)
    assert str(error.value).startswith(f"{path}: asks for ")
    assert not marker.exists()


def test_a_refusal_says_what_to_write(tmp_path):
    path = saved(tmp_path, Calls(builtins.eval, "1"))
    with pytest.raises(UnsafePickleError) as error:
        load_pickle(path)
    assert str(error.value) == (
        f"{path}: asks for builtins.eval, which plain arrays do not need; nothing was called. "
        "Write the batch as a dict of NumPy arrays or lists"
    )


def test_a_chain_of_calls_is_refused_at_its_first_name(tmp_path):
    path = saved(tmp_path, Calls(builtins.map, os.system, ["true"]))
    with pytest.raises(UnsafePickleError, match=r"asks for builtins\.map"):
        load_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int64).reshape(2, 3)),
        np.arange(6, dtype=">i4")[::2],
        np.zeros((0, 4), np.uint8),
        np.array([1.5, 2.5]),
        np.array([True, False]),
    ],
)
def test_arrays_of_every_protocol_are_read(tmp_path, array, protocol):
    found = load_pickle(saved(tmp_path, {"data": array}, protocol))["data"]
    assert isinstance(found, PickledArray)
    np.testing.assert_array_equal(found.array, array)


@pytest.mark.parametrize("protocol", range(6))
def test_builtin_containers_and_scalars_are_read(tmp_path, protocol):
    content = [{b"k": (1, 2.5, None, True, "é", b"\xff")}, {3}, frozenset({4}), 2j, b""]
    assert load_pickle(saved(tmp_path, [*content, bytearray(b"ab")], protocol)) == [*content, b"ab"]


@pytest.mark.parametrize("protocol", range(6))
def test_numpy_scalars_become_plain_numbers(tmp_path, protocol):
    found = load_pickle(saved(tmp_path, [np.int64(32), np.float32(0.5)], protocol))
    assert found == [32, 0.5]
    assert type(found[0]) is int


def test_a_pickle_of_python_2_and_numpy_1_is_read(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(
        b"\x80\x02}q\x01U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\n"
        b"q\x04K\x00\x85U\x01b\x87Rq\x05(K\x01K\x01K\x02\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01"
        b"\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x02\x07\xfftbs."
    )
    np.testing.assert_array_equal(load_pickle(path)["data"].array, [[7, 255]])


@pytest.mark.parametrize(
    "array", [np.array([{}], object), np.zeros(2, [("a", "u1")]), np.array(["text"])]
)
def test_arrays_of_anything_but_numbers_are_refused(tmp_path, array):
    path = saved(tmp_path, array)
    with pytest.raises(DataFormatError) as error:
        load_pickle(path)
    assert str(error.value).startswith(f"{path}: is not a whole pickle (")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x80\x04K", b"\x80\x04}\x94\x8c\x01", b"N)R."]
)
def test_a_file_that_is_no_pickle_is_refused(tmp_path, content):
    path = tmp_path / "batch"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as error:
        load_pickle(path)
    assert str(error.value).startswith(f"{path}: is not a whole pickle (")
    assert str(error.value).endswith("); write it with pickle.dump")


def test_bytes_after_the_end_are_refused(tmp_path):
    path = saved(tmp_path, {})
    path.write_bytes(path.read_bytes() + b"xyz")
    with pytest.raises(DataFormatError) as error:
        load_pickle(path)
    assert str(error.value) == f"{path}: found 3 bytes after the end of the pickle; expected 0"


def test_a_number_is_never_taken_for_a_size(tmp_path):
    for kind in (b"bytes", b"bytearray"):
        path = tmp_path / "batch"
        path.write_bytes(
            b"cbuiltins\n" + kind + b"\n" + b"\x8a\x05" + struct.pack("<Q", 10**11)[:5] + b"\x85R."
        )
        with pytest.raises(DataFormatError, match="not a whole pickle"):
            load_pickle(path)


def test_a_forged_shape_is_refused(tmp_path):
    whole = pickle.dumps(np.zeros(300, np.uint8), protocol=2)
    path = tmp_path / "batch"
    path.write_bytes(whole.replace(b"M,\x01", b"M\xff\xff", 1))
    with pytest.raises(DataFormatError, match="cannot reshape"):
        load_pickle(path)


def test_a_pickle_cannot_change_how_the_next_one_is_read(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(b"c_codecs\nencode\n(N}U\x0c__defaults__)stb.")
    load_pickle(path)
    assert load_pickle(saved(tmp_path, [b"\xff"], protocol=0)) == [b"\xff"]
