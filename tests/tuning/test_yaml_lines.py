from functools import partial

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from mhray.tuning.yaml_lines import Place, dotted, read_scalar, read_yaml

read = partial(read_yaml, place_of=partial(Place, "study.yaml"))

NUMBERS = ["0", "-3", "+3", "1_000", "1.5", "1.", ".5", "1e-4", "-2.5E+3", "1e5", "1_0.5"]


@pytest.mark.parametrize("word", [*NUMBERS, "010", "1__0", "0x1", "1:30", "true", "FALSE", "on"])
def test_a_word_means_what_it_means_on_hydras_command_line(word):
    value = OverridesParser.create().parse_override(f"key={word}").value()
    assert (type(read_scalar(word)), read_scalar(word)) == (type(value), value)


@pytest.mark.parametrize("word", NUMBERS)
def test_a_number_means_what_it_means_in_a_config(word):
    assert read(word).value == OmegaConf.create(f"key: {word}").key


@pytest.mark.parametrize("word", ["on", "off", "yes", "no", "y", "2024-01-01", "0o7", "=", "<<"])
def test_words_that_yaml_1_1_interprets_stay_text(word):
    assert read(f"key: {word}").value == {"key": word}


def test_quotes_make_text_of_everything():
    assert read("""{a: "1", b: 'null', c: "true"}""").value == {"a": "1", "b": "null", "c": "true"}


def test_every_entry_keeps_its_line():
    places = read("a:\n  b: 1\n\nc:\n  - x\n  - {y: 2}\n").places
    assert {dotted(location): place.line for location, place in places.items()} == {
        "": 1, "a": 1, "a.b": 2, "c": 4, "c[0]": 5, "c[1]": 6, "c[1].y": 6
    }  # fmt: skip


def test_the_order_of_keys_is_kept():
    assert list(read("{b: 1, a: 2, 3: 4, null: 5}").value) == ["b", "a", "3", "null"]


PROBLEMS = {
    "a: 1\nb: 2\na: 3": "study.yaml:3: a: is also set at study.yaml:1; keep one of the two",
    "a: {b: 1, b: 1}": "study.yaml:1: a.b: is also set at study.yaml:1; keep one of the two",
    "a:\n\tb: 1": "study.yaml:2: is indented with a tab; write spaces",
    "a: !!int 3": "study.yaml:1: a: has the YAML tag tag:yaml.org,2002:int; "
    "write the value without it",
    "a: !!python/name:os.system x": "study.yaml:1: a: has the YAML tag "
    "tag:yaml.org,2002:python/name:os.system; write the value without it",
    "? [a]\n: 1": "study.yaml:1: : has a key that is not text; write a single word",
    "a: &x 1\nb: *x": "study.yaml:2: cannot be read as YAML (it holds an alias); "
    "write the value out",
    "a: b: c": "study.yaml:1: cannot be read as YAML (mapping values are not allowed here); "
    "close every bracket and quote, and put text that holds `: ` in quotes",
    "a: \x00": "study.yaml:1: cannot be read as YAML (unacceptable character #x0000: special "
    "characters are not allowed); close every bracket and quote, and put text that holds `: ` in "
    "quotes",
    "a:\n  " + "[" * 5000 + "]" * 5000: "study.yaml:2: cannot be read as YAML "
    "(it is nested more than 60 deep); write it flatter",
    f"a: 1\nb: -{'1' * 5000}": "study.yaml:2: holds a number of 5001 digits; write at most 300",
    'a: "x\\0"': r"study.yaml:1: holds a null character in 'x\x00'; take it out",
    '"x\\0": a': r"study.yaml:1: holds a null character in 'x\x00'; take it out",
}


@pytest.mark.parametrize(("text", "message"), PROBLEMS.items())
def test_what_no_reader_could_mean_is_a_problem(text, message):
    assert [str(problem) for problem in read(text).problems] == [message]


def test_many_digits_in_quotes_are_text():
    digits = "1" * 5000
    assert read(f"a: '{digits}'").value == {"a": digits}
    assert read_scalar(digits) == digits


def test_an_empty_text_holds_nothing():
    assert read("# nothing\n").value is None
