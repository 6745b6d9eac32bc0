import pytest

from mhray.data.batches import open_split
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
            "NAME: unknown source 'multimist'; did you mean multimnist? (one of: multimnist)",
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


def test_help_names_every_flag_and_shows_three_examples(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0
    assert all(word in text for word in ("NAME", "DIR", "--train N", "--test N", "--seed S"))
    assert text.count("\n  python -m mhray.data.prepare ") == 3


def test_the_command_ends_with_2_and_no_traceback(command):
    done = command("mhray.data.prepare", "multimist", "new")
    assert done.returncode == 2
    assert done.stderr.startswith("NAME: unknown source 'multimist'")
    assert "Traceback" not in done.stderr
