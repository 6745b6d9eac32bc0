import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mhray.data.header import Parameter
from mhray.data.label_table import encode, read_label_table
from mhray.errors import (
    ConfigError,
    DataFormatError,
    DataNotFoundError,
    HeadMismatchError,
    StorageError,
)

HOW = "write a header row with the names of the heads, then one row per image"


def written(directory, text, name="y.csv"):
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_numbers_keep_their_values_and_text_becomes_classes(tmp_path):
    path = written(tmp_path, "\ufeffage, kind\n 42 ,dog\n40.0,NA\n41,dog\n")
    parameters, (values,) = encode([read_label_table(path)], {"age": "linear"})
    assert parameters == (
        Parameter("age", 40, 42, scale="linear"),
        Parameter("kind", 0, 1, scale="categorical", class_names=("NA", "dog")),
    )
    np.testing.assert_array_equal(values, [[42, 1], [40, 0], [41, 1]])
    assert values.dtype == np.uint8


def test_ranges_and_classes_are_those_of_all_tables(tmp_path):
    tables = [
        read_label_table(written(tmp_path, text, name))
        for name, text in (("a.csv", "n,t\n5,b\n6,b\n"), ("b.csv", "n,t\n9,a\n"))
    ]
    parameters, (train, test) = encode(tables, {})
    assert [(p.minimum, p.maximum, p.class_names) for p in parameters] == [
        (5, 9, ()),
        (0, 1, ("a", "b")),
    ]
    assert (train.tolist(), test.tolist()) == ([[5, 1], [6, 1]], [[9, 0]])


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 255), st.sampled_from("xyz")), min_size=1, max_size=50))
def test_every_table_of_bytes_and_letters_is_read(rows):
    with tempfile.TemporaryDirectory() as place:
        text = "n,t\n" + "".join(f"{number},{letter}\n" for number, letter in rows)
        table = read_label_table(written(Path(place), text))
    (_, kinds), (values,) = encode([table], {})
    assert [(int(n), kinds.class_names[t]) for n, t in values] == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n1\n\n3\n", "line 3, column a: there is no value; write one in every row"),
        ("a,b\n1,2\n3\n", "line 3, column b: there is no value; write one in every row"),
        ("a\n1\n2.5\n", "line 3, column a: found 2.5; write whole numbers, 0 to 255"),
        ("a\n-1\n", "line 2, column a: found -1; write whole numbers, 0 to 255"),
        ("a\n255\n256\n", "line 3, column a: found 256; write whole numbers, 0 to 255"),
        (
            "a\n1\n2\nthree\n",
            (
                "line 4, column a: found 'three' among numbers; "
                "write numbers in all rows of a column, or text in all"
            ),
        ),
        (
            "a\ncat\ndog\n3\n",
            (
                "line 4, column a: found '3' among text; "
                "write numbers in all rows of a column, or text in all"
            ),
        ),
        ("a,a\n1,2\n", "line 1: column 2 repeats the name 'a'; write another name"),
        (
            "a b\n1\n",
            (
                "line 1: column 1 is named 'a b'; a head's name has only letters, digits, "
                '"_" and "-": rename it, to \'a_b\' say'
            ),
        ),
        (
            "a,\n1,2\n",
            ("line 1: column 2 has no name; remove it, if it is an index, or name it"),
        ),
        (
            ",".join(f"h{index}" for index in range(256)) + "\n" + "0," * 255 + "0\n",
            "line 1: found 256 columns; expected 255 heads at most",
        ),
        ("a\n", f"has no rows after the first; {HOW}"),
        (
            "",
            f"is not a table of comma-separated values (No columns to parse from file); {HOW}",
        ),
        (
            "a\n1\n2,3\n",
            (
                "is not a table of comma-separated values (Error tokenizing data. C error: "
                f"Expected 1 fields in line 3, saw 2); {HOW}"
            ),
        ),
        (
            b"a\n\xff\n",
            (
                "is not a table of comma-separated values ('utf-8' codec can't decode byte 0xff in "
                f"position 2: invalid start byte); {HOW}"
            ),
        ),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_its_line(tmp_path, text, message):
    path = written(tmp_path, text)
    with pytest.raises(DataFormatError) as error:
        read_label_table(path)
    assert str(error.value) == f"{path}: {message}"


def test_the_problems_of_all_columns_are_said_at_once(tmp_path):
    path = written(tmp_path, "a,b\n1,\n300,2\n")
    with pytest.raises(DataFormatError) as error:
        read_label_table(path)
    assert [line.split(": ")[1] for line in str(error.value).splitlines()] == [
        "line 3, column a",
        "line 2, column b",
    ]


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataNotFoundError) as error:
        read_label_table(tmp_path / "none.csv")
    assert str(error.value) == (
        f"{tmp_path / 'none.csv'}: there is no such file; write the path of a CSV file"
    )


def test_a_directory_is_no_table(tmp_path):
    with pytest.raises(StorageError, match=r"cannot be read \(Is a directory\)"):
        read_label_table(tmp_path)


@pytest.mark.parametrize(
    ("scales", "kind", "message"),
    [
        (
            {"agee": "log"},
            HeadMismatchError,
            "--scale agee: the data has no such head; did you mean age? (heads: age, kind)",
        ),
        (
            {"kind": "log"},
            ConfigError,
            (
                "--scale kind=log: the values of kind are text, which has no order; "
                "write numbers in the file, or leave this out"
            ),
        ),
    ],
)
def test_a_scale_fits_a_column_of_numbers(tmp_path, scales, kind, message):
    table = read_label_table(written(tmp_path, "age,kind\n1,dog\n"))
    with pytest.raises(kind) as error:
        encode([table], scales)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("b,a\nx,1\n", "line 1: found the columns b, a; expected a, b, as in {first}"),
        ("a,b\n1,2\n", "column b: found whole numbers; expected text, as in {first}"),
        ("a,b\nx,x\n", "column a: found text; expected whole numbers, as in {first}"),
    ],
)
def test_all_tables_have_the_same_columns(tmp_path, other, message):
    paths = [written(tmp_path, "a,b\n1,x\n", "a.csv"), written(tmp_path, other, "b.csv")]
    with pytest.raises(DataFormatError) as error:
        encode([read_label_table(path) for path in paths], {})
    assert str(error.value) == f"{paths[1]}: {message.format(first=paths[0])}"


@pytest.mark.parametrize("classes", [256, 257])
def test_a_byte_holds_256_classes_of_text(tmp_path, classes):
    path = written(tmp_path, "a\n" + "".join(f"c{index}\n" for index in range(classes)))
    table = read_label_table(path)
    if classes == 256:
        assert encode([table], {})[0][0].maximum == 255
        return
    with pytest.raises(DataFormatError) as error:
        encode([table], {})
    assert str(error.value) == f"{path}: column a: found 257 classes; expected 256 at most"


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_with_other_separators_says_so(tmp_path, separator):
    path = tmp_path / "y.csv"
    path.write_text(f"kind{separator}age\nround{separator}3\n")
    with pytest.raises(DataFormatError) as error:
        read_label_table(path)
    named = f"kind{separator}age"
    assert str(error.value) == (
        f"{path}: line 1: column 1 is named {named!r}; write commas, not {separator!r}"
    )
