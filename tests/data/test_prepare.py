import os
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from mhray.data.batches import open_split, read_heads
from mhray.data.prepare import main


def test_the_command_says_on_one_line_what_it_wrote(tmp_path, capsys):
    directory = tmp_path / "new" / "data"
    assert main(["multimnist", str(directory), "--train", "30", "--test", "10", "--seed", "4"]) == 0
    assert capsys.readouterr().out == (
        f"{directory}: 30 training and 10 test images, 32x32x3; "
        "heads left (10), right (10), sum (19)\n"
    )
    assert len(open_split(directory, "test_batch")[2]) == 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["multimist", "{new}"],
            (
                "NAME: there is no 'multimist'; did you mean multimnist? "
                "(one of: multimnist, cifar100, from-arrays, raw)"
            ),
        ),
        (
            ["multimnist", "{old}"],
            "{old}: exists, and is never written over; write another directory, or remove it",
        ),
        (
            ["multimnist", "{new}", "--train", "0"],
            "--train: found 0; write a whole number from 1 up",
        ),
        (["multimnist", "{new}", "--test=-3"], "--test: found -3; write a whole number from 1 up"),
        (["multimnist", "{new}", "--seed=-1"], "--seed: found -1; write a whole number from 0 up"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_nothing(tmp_path, capsys, arguments, message):
    places = {"new": tmp_path / "new", "old": tmp_path}
    assert main([argument.format(**places) for argument in arguments]) == 2
    assert capsys.readouterr().err == message.format(**places) + "\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--test-fraction", "1"], "--test-fraction: found 1.0; write a share from 0 up, below 1"),
        (
            ["--test-fraction", "nan"],
            "--test-fraction: found nan; write a share from 0 up, below 1",
        ),
        (["--seed=-1"], "--seed: found -1; write a whole number from 0 up"),
        (["--scale", "age"], "--scale: found 'age'; write HEAD=SCALE, such as age=linear"),
        (["--scale", "=log"], "--scale: found '=log'; write HEAD=SCALE, such as age=linear"),
        (
            ["--test-labels", "v.csv"],
            "--test-images, --test-labels: found one of them; write both, or neither",
        ),
        (
            ["--test-images", "u.npy"],
            "--test-images, --test-labels: found one of them; write both, or neither",
        ),
    ],
)
def test_a_mistake_in_the_options_of_arrays_is_one_message(tmp_path, capsys, arguments, message):
    files = ["--images", "x.npy", "--labels", "y.csv"]
    assert main(["from-arrays", str(tmp_path / "new"), *files, *arguments]) == 2
    assert capsys.readouterr().err == message + "\n"


@pytest.fixture
def arrays(tmp_path):
    """The options that name 20 images and their labels."""
    np.save(tmp_path / "x.npy", np.zeros((20, 8, 6), np.uint8))
    ages = "".join(f"{40 + index}\n" for index in range(20))
    (tmp_path / "y.csv").write_text(f"age\n{ages}")
    return ["--images", str(tmp_path / "x.npy"), "--labels", str(tmp_path / "y.csv")]


@pytest.mark.parametrize(
    ("share", "numbers"),
    [
        ([], "18 training and 2 test images"),
        (["--test-fraction", "0.25"], "15 training and 5 test images"),
        (["--test-images", "{x}", "--test-labels", "{y}"], "20 training and 20 test images"),
    ],
)
def test_arrays_become_a_data_set(tmp_path, capsys, arrays, share, numbers):
    share = [word.format(x=arrays[1], y=arrays[3]) for word in share]
    directory = tmp_path / "new"
    assert main(["from-arrays", str(directory), *arrays, *share, "--scale", "age=log"]) == 0
    assert capsys.readouterr().out == f"{directory}: {numbers}, 8x6x1; heads age (20)\n"
    (head,) = read_heads(directory)
    assert (head.smallest_value, head.scale) == (40, "log")


def test_an_archive_that_is_wrong_is_one_message_and_leaves_nothing(tmp_path, capsys):
    archive = tmp_path / "none.tar.gz"
    assert main(["cifar100", str(tmp_path / "new"), "--archive", str(archive)]) == 2
    assert capsys.readouterr().err.startswith(f"{archive}: there is no such file; write the path")
    assert not list(tmp_path.iterdir())


def test_what_raw_did_is_said_on_one_line_for_each_batch(notes, capsys):
    train, test = notes / "train_batch.bin", notes / "test_batch.bin"
    assert main(["raw", str(notes)]) == 0
    assert capsys.readouterr().out == (
        f"{train}: 50 images; the pickle is kept as train_batch.pickle\n"
        f"{test}: 20 images; the pickle is kept as test_batch.pickle\n"
    )
    assert main(["raw", str(notes)]) == 0
    assert capsys.readouterr().out == (
        f"{train}: is raw already; nothing was changed\n"
        f"{test}: is raw already; nothing was changed\n"
    )


@pytest.mark.parametrize(
    ("words", "flags", "examples"),
    [
        ([], ["NAME"], 4),
        (["multimnist"], ["DIR", "--train N", "--test N", "--seed S"], 3),
        (["cifar100"], ["DIR", "--archive FILE"], 2),
        (
            ["from-arrays"],
            [
                *("DIR", "--images NPY", "--labels CSV", "--test-images NPY", "--test-labels CSV"),
                *("--test-fraction F", "--seed S", "--layout {HWC,CHW}", "--scale HEAD=SCALE"),
            ],
            3,
        ),
        (["raw"], ["DIR"], 1),
    ],
)
def test_help_names_every_flag_and_shows_examples(capsys, words, flags, examples):
    with pytest.raises(SystemExit) as left:
        main([*words, "--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0
    assert [flag for flag in flags if flag not in text] == []
    assert text.count("\n  python -m mhray.data.prepare ") == examples


def wait_for_reader(process, pipe):
    """Open a pipe that the process reads; raises if it ends before it does."""
    while True:
        with suppress(OSError):
            return os.fdopen(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
        assert process.poll() is None
        time.sleep(0.01)


def test_a_command_that_is_stopped_leaves_nothing(tmp_path):
    os.mkfifo(tmp_path / "archive")
    words = ["-m", "mhray.data.prepare", "cifar100", "new", "--archive", "archive"]
    command = [sys.executable, *words]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        # The pipe is closed after it: a signal in the last instant before a read ends none.
        with wait_for_reader(process, tmp_path / "archive"):
            process.terminate()
        assert process.wait() == 3
        assert process.stderr.read() == "stopped; nothing is half-written\n"
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


def test_the_command_ends_with_2_and_no_traceback(command):
    done = command("mhray.data.prepare", "multimist", "new")
    assert done.returncode == 2
    assert done.stderr.startswith("NAME: there is no 'multimist'")
    assert "Traceback" not in done.stderr


def test_a_head_has_one_scale(tmp_path, capsys):
    scales = ["--scale", "age=linear", "--scale", "age=log"]
    options = ["--images", "x.npy", "--labels", "y.csv", *scales]
    assert main(["from-arrays", str(tmp_path / "new"), *options]) == 2
    assert capsys.readouterr().err == "--scale: found age=linear, age=log; write each head once\n"


def test_a_place_that_cannot_exist_is_an_error(tmp_path, capsys):
    place = tmp_path / ("a" * 300)
    assert main(["multimnist", str(place)]) == 2
    assert (
        capsys.readouterr().err
        == f"{place}: cannot be read (File name too long); make it readable\n"
    )
