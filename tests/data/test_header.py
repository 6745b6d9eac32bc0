import pytest

from mhray.data.header import HEADER_NAME, SISTER_HEADER_NAME, Parameter, read_header
from mhray.errors import DataFormatError, DataNotFoundError


def test_a_header_is_read_as_it_was_written(notes):
    header = read_header(notes)
    assert header.image_shape == (3, 8, 6)
    assert (header.n_samples, header.train_samples, header.test_samples) == (70, 50, 20)
    assert header.parameter("note").class_names == ("E", "F", "F#", "G")
    assert header.parameter("velocity").scale == "log"


def test_an_id_past_the_names_is_named_by_its_number(notes):
    assert [read_header(notes).name_of(i) for i in (0, 1, 2)] == ["note", "velocity", "param_2"]


def test_the_sister_header_is_read_too(notes):
    (notes / HEADER_NAME).rename(notes / SISTER_HEADER_NAME)
    assert read_header(notes).dataset_name == "notes"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"format": None}, "has no key 'format'; write it"),
        ({"image_size": None}, "has no key 'image_size'; write it"),
        ({"parameter_names": None}, "has no key 'parameter_names'; write it"),
        (
            {"format": "CIFAR-10"},
            (
                'format is \'CIFAR-10\'; expected "CIFAR-100-MH" or "VIMH" '
                "(strict=False reads it all the same)"
            ),
        ),
        (
            {"version": "2.0"},
            "version is '2.0'; expected \"1.0\" (strict=False reads it all the same)",
        ),
        (
            {"n_samples": 71},
            "n_samples is 71; expected train_samples + test_samples = 70",
        ),
        (
            {"n_samples": 40, "test_samples": None},
            "n_samples is 40; expected at least train_samples = 50",
        ),
        (
            {"n_samples": 10, "train_samples": None},
            "n_samples is 10; expected at least test_samples = 20",
        ),
        ({"train_samples": -1}, "train_samples is -1; write the number of samples"),
        (
            {"image_size": "8x6"},
            'image_size is \'8x6\'; write "HEIGHTxWIDTHxCHANNELS", such as "32x32x3"',
        ),
        ({"image_layout": "HCW"}, 'image_layout is \'HCW\'; write "CHW" or "HWC"'),
        ({"parameter_names": "note"}, "parameter_names is 'note'; write a list of names"),
        (
            {"parameter_names": ["note number"]},
            (
                "parameter_names[0] is 'note number'; a head's name has only letters, digits, "
                '"_" and "-": rename it, to \'note_number\' say'
            ),
        ),
        (
            {"parameter_names": ["note", "note"]},
            "parameter_names[1] repeats 'note'; write another name",
        ),
        (
            {"parameter_mappings": []},
            "parameter_mappings is []; write an object, name: {min, max, ...}",
        ),
        (
            {"parameter_mappings": {"nota": {"min": 0, "max": 1}}},
            (
                "parameter_mappings.nota: unknown parameter; did you mean note? "
                "(one of: note, velocity, param_<id>)"
            ),
        ),
        (
            {"parameter_mappings": {"note": 3}},
            'parameter_mappings.note is 3; write an object with "min" and "max"',
        ),
        (
            {"parameter_mappings": {"note": {"min": 0.5, "max": 300}}},
            (
                "parameter_mappings.note: min is 0.5 and max is 300; write whole numbers, "
                "0 <= min <= max <= 255"
            ),
        ),
        (
            {"parameter_mappings": {"note": {"min": 0, "max": 1, "class_names": ["a"]}}},
            "parameter_mappings.note.class_names: found 1 names; expected 2 (max - min + 1)",
        ),
        (
            {"parameter_mappings": {"note": {"min": 0, "max": 1, "class_names": "ab"}}},
            "parameter_mappings.note.class_names is 'ab'; write a list of names",
        ),
    ],
)
def test_a_wrong_header_is_refused(notes, break_header, changes, problem):
    path = break_header(**changes)
    with pytest.raises(DataFormatError) as error:
        read_header(notes)
    message = str(error.value).splitlines()
    assert f"{path}: {problem}" in message


def test_all_problems_of_a_header_are_told_at_once(notes, break_header):
    break_header(image_size="8", image_layout="X", n_samples=3)
    with pytest.raises(DataFormatError) as error:
        read_header(notes)
    assert len(str(error.value).splitlines()) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON (Expecting property name enclosed in double quotes: line 1 column 2"),
        ("[" * 100_000, "is not JSON (maximum recursion depth exceeded"),
        ("[1]", "holds a list; write one JSON object"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(notes, text, message):
    (notes / HEADER_NAME).write_text(text)
    with pytest.raises(DataFormatError) as error:
        read_header(notes)
    assert str(error.value).startswith(f"{notes / HEADER_NAME}: {message}")


def test_a_missing_directory_says_how_to_build_one(tmp_path):
    missing = tmp_path / "nothing"
    with pytest.raises(DataNotFoundError) as error:
        read_header(missing)
    assert str(error.value) == (
        f"{missing}: there is no such directory; write the path of a CIFAR-100-MH directory, "
        f"or build one: python -m mhray.data.prepare multimnist {missing}"
    )


def test_a_missing_header_says_what_to_write(tmp_path):
    with pytest.raises(DataNotFoundError) as error:
        read_header(tmp_path)
    assert str(error.value) == (
        f"{tmp_path}: has no header; write {HEADER_NAME} (keys: format, version, dataset_name, "
        "image_size, parameter_names, parameter_mappings)"
    )


def test_in_the_wild_a_missing_header_means_32x32x3(tmp_path):
    header = read_header(tmp_path, strict=False)
    assert header.image_shape == (3, 32, 32)
    assert header.name_of(7) == "param_7"


def test_in_the_wild_a_foreign_format_is_a_warning(notes, break_header):
    break_header(format="MINE", n_samples=3)
    with pytest.warns(UserWarning, match="expected") as warned:
        assert read_header(notes, strict=False).format == "MINE"
    assert len(warned) == 2


def test_an_id_without_a_name_may_have_a_mapping(notes, break_header):
    break_header(parameter_names=["note"], parameter_mappings={"param_1": {"min": 0, "max": 9}})
    assert read_header(notes).parameter("param_1").maximum == 9


def test_whole_numbers_may_be_written_with_a_point(notes, break_header):
    break_header(parameter_mappings={"note": {"min": 40.0, "max": 43.0}})
    assert read_header(notes).parameter("note").maximum == 43


@pytest.mark.parametrize("name", ["param_0", "param_01", "param_256", "volume"])
def test_a_mapping_of_no_parameter_is_refused(notes, break_header, name):
    break_header(parameter_mappings={name: {"min": 0, "max": 9}})
    with pytest.raises(DataFormatError, match=rf"parameter_mappings\.{name}: unknown parameter; "):
        read_header(notes)


def test_without_a_scale_nothing_orders_the_values(notes, break_header):
    break_header(parameter_mappings={"note": {"min": 0, "max": 9, "scale": None}})
    assert read_header(notes).parameters == (Parameter("note", 0, 9, "", "categorical"),)
