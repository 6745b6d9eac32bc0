import json
import subprocess
import sys

import pytest
from PIL import Image

from mhray.data.header import HEADER_NAME
from mhray.data.inspect import main


def test_a_data_set_is_shown_on_one_screen(small_data, capsys):
    assert main([str(small_data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 80
    assert lines[0] == "data set  multimnist, CIFAR-100-MH 1.0"
    assert lines[13] == "  sum     ▁▂▂▄▃▄▅▇███▆▅▄▄▃▃▂▂  skewed, linear, 19 classes, values 0 to 18"
    assert lines[-1] == (
        "findings  - all 3 channels are equal in every train image: one of them would do"
    )


def test_the_picture_shows_the_layout_that_was_asked_for(notes, tmp_path, capsys):
    paths = [tmp_path / f"{layout}.png" for layout in ("CHW", "HWC")]
    for path in paths:
        assert main([str(notes), "--png", str(path), "--layout", path.stem]) == 0
        assert f"read as {path.stem}" in capsys.readouterr().out
    pictures = [Image.open(path).convert("RGB") for path in paths]
    assert pictures[0].size == pictures[1].size
    assert pictures[0] != pictures[1]


def test_a_train_batch_alone_can_be_inspected(notes, break_header, capsys):
    (notes / "test_batch").unlink()
    break_header(n_samples=None, test_samples=None)
    assert main([str(notes)]) == 0
    assert "- there is no test batch: nothing can be" in capsys.readouterr().out


def test_what_a_strict_reader_refuses_is_told_once(notes, break_header, capsys):
    path = break_header(format="FOREIGN")
    assert main([str(notes)]) == 2
    refused = capsys.readouterr()
    assert (refused.out, refused.err.startswith(f"{path}: format is 'FOREIGN'; expected")) == (
        "",
        True,
    )
    assert main([str(notes), "--no-strict"]) == 0
    lenient = capsys.readouterr()
    assert lenient.out.count("FOREIGN';") == 1
    assert lenient.err == ""


def test_a_header_that_is_missing_is_told(small_data, tmp_path, capsys):
    for name in ("train_batch", "test_batch"):
        (tmp_path / name).symlink_to(small_data / name)
    assert main([str(tmp_path), "--no-strict"]) == 0
    assert "- there is no header: size, layout and heads are" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{none}"], "{none}: there is no such directory; write the path of a CIFAR-100-MH direct"),
        (["{none}", "--png", "a.gif"], "--png: found a.gif; write a file whose name ends with .p"),
        (["{notes}", "--png", "{none}/a.png"], "--png: there is no directory {none}; make it, or "),
        (["{notes}", "--png", "{notes}.png"], "{notes}.png: cannot be written (Is a directory); "),
    ],
)
def test_a_mistake_is_one_message_and_shows_nothing(notes, tmp_path, capsys, arguments, message):
    (tmp_path / "notes.png").mkdir()
    places = {"notes": notes, "none": tmp_path / "none"}
    assert main([argument.format(**places) for argument in arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(message.format(**places))


def test_an_output_that_lacks_letters_shows_question_marks(notes, command):
    path = notes / HEADER_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"dataset_name": "caf\u00e9 \u6f22"}))
    done = command("mhray.data.inspect", notes, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("data set    caf? ?, CIFAR-100-MH 1.0\n")
    assert "\x1b" not in done.stdout


def test_help_shows_three_examples_and_what_a_picture_is_good_for(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    text = capsys.readouterr().out
    assert left.value.code == 0
    assert text.count("\n  python -m mhray.data.inspect ") == 3
    assert "a wrong one shows in the picture" in " ".join(text.split())


def test_a_reader_that_has_seen_enough_is_no_error(notes):
    command = f"{sys.executable} -m mhray.data.inspect {notes} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_raw_records_beside_a_pickle_are_told(notes, capsys):
    (notes / "test_batch.bin").touch()
    assert main([str(notes)]) == 0
    assert "- test_batch.bin stands beside test_batch, and is not read" in capsys.readouterr().out
