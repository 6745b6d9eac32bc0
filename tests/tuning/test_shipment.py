import subprocess
from pathlib import Path

import pytest

from mhray.errors import ConfigError, StorageError
from mhray.tuning import shipment
from mhray.tuning.shipment import GROUPS, packed


@pytest.fixture
def project(tmp_path):
    """A directory of somebody's project, with code and with what is none."""
    for name in ("nets.py", "pkg/__init__.py", "pkg/data/io.py", "data/train", "studies/a.ckpt"):
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    (tmp_path / "project" / ".venv").mkdir()
    (tmp_path / "project" / ".venv" / "x.py").write_text("x")
    return tmp_path / "project"


def files_in(directory):
    root = Path(directory)
    return sorted(str(file.relative_to(root)) for file in root.rglob("*") if file.is_file())


def test_code_goes_and_data_results_and_environments_stay(project):
    with packed(None, {}, project) as sent:
        found = files_in(sent.environment["working_dir"])
    assert found == ["nets.py", "pkg/__init__.py", "pkg/data/io.py"]


def test_what_git_ignores_stays(project):
    subprocess.run(["git", "init", "--quiet", project], check=True)
    (project / ".gitignore").write_text("nets.py\n")
    with packed(None, {}, project) as sent:
        found = files_in(sent.environment["working_dir"])
    assert found == [".gitignore", "pkg/__init__.py", "pkg/data/io.py"]


def test_a_checkout_sends_mhray_as_a_wheel_has_it(project):
    with packed(None, {}, project) as sent:
        [mhray] = sent.environment["py_modules"]
        found = files_in(mhray)
    assert {"__init__.py", "data/batches.py", "configs/train.yaml", "sweeps/model/cnn.yaml"} <= {
        *found
    }
    assert not any("__pycache__" in name for name in found)


def test_a_directory_without_code_sends_nothing_of_its_own(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    with packed(None, {}, tmp_path) as sent:
        assert "working_dir" not in sent.environment


def test_groups_from_anywhere_go_along(project, tmp_path):
    groups = tmp_path / "groups" / "model"
    groups.mkdir(parents=True)
    (groups / "own.yaml").write_text("a: 1")
    with packed(tmp_path / "groups", {}, project) as sent:
        assert sent.config_dir == GROUPS
        assert f"{GROUPS}/model/own.yaml" in files_in(sent.environment["working_dir"])


def test_what_is_too_large_for_code_is_refused_with_its_largest_parts(project, monkeypatch):
    monkeypatch.setattr(shipment, "MOST_BYTES", 2**20)
    (project / "weights.bin").write_bytes(b"0" * 2**21)
    message = rf"{project}: would be sent .* has 2 MiB, of which weights.bin \(2 MiB\), pkg"
    with pytest.raises(StorageError, match=message), packed(None, {}, project):
        pass


def test_what_a_job_has_sent_is_not_sent_again(project):
    (project / "groups").mkdir()
    with packed(project / "groups", {"working_dir": "gcs://x.zip"}, project) as sent:
        assert "working_dir" not in sent.environment
        assert sent.config_dir == "groups"


def test_groups_outside_of_what_a_job_has_sent_are_refused(project, tmp_path):
    message, job = f"--config-dir: {tmp_path} lies outside of {project}", {"working_dir": "gcs://x"}
    with pytest.raises(ConfigError, match=message), packed(tmp_path, job, project):
        pass
