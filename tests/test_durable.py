"""That files which matter are whole or as they were."""

import ast
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mhray
from mhray.durable import replacing, write_durably
from mhray.training.directory import make_directory

# Who may write into a file in place, and why: appended lines, probes, and folders renamed later.
IN_PLACE = {
    "mhray/data/writing.py",
    "mhray/training/chatter.py",
    "mhray/training/outbox.py",
    "mhray/training/served_model.py",
    "mhray/training/staging.py",
    "mhray/tuning/search.py",
    "mhray/tuning/lock.py",
    "mhray/tuning/terms.py",
}


def interrupted(_written):
    raise ZeroDivisionError


def test_a_file_that_cannot_be_written_to_its_end_is_as_before(tmp_path):
    path = tmp_path / "result.json"
    write_durably(path, "old")
    with pytest.raises(ZeroDivisionError), replacing(path) as draft:
        interrupted(draft.write_text("half"))
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"result.json": "old"}


def test_content_and_name_are_flushed_around_the_rename(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr("mhray.durable.flush", lambda path: seen.append((path.name, there())))
    path = tmp_path / "result.json"
    there = path.exists
    write_durably(path, "new")
    assert seen == [(".result.json", False), (tmp_path.name, True)]


def test_two_that_write_the_same_file_have_drafts_of_their_own(tmp_path):
    path = tmp_path / "speeds.jsonl"
    with replacing(path, is_shared=True) as one, replacing(path, is_shared=True) as other:
        one.write_text("1")
        other.write_text("2")
    assert path.read_text() == "1"
    assert list(tmp_path.iterdir()) == [path]


def test_everything_else_that_is_written_goes_through_this_module():
    root = Path(mhray.__file__).parent
    found = {
        str(path.relative_to(root.parent)) for path in root.rglob("*.py") if _writes_in_place(path)
    }
    assert found == IN_PLACE


def _writes_in_place(path):
    """Whether a module names a method that writes a file, on anything but a draft."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        modes = [each.value for each in node.args if isinstance(each, ast.Constant)]
        is_open = node.func.attr == "open" and any(str(mode)[:1] in "wax" for mode in modes)
        is_write = node.func.attr in {"write_text", "write_bytes"}
        if (is_open or is_write) and "draft" not in ast.unparse(node.func):
            return True
    return False


def test_ranks_that_begin_together_have_one_directory_and_one_config(tmp_path):
    def begin(_rank):
        for _ in range(100):
            make_directory(tmp_path)
            write_durably(tmp_path / "config.yaml", "seed: 1\n", is_shared=True)

    with ThreadPoolExecutor(4) as ranks:
        list(ranks.map(begin, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]
