import os
import socket

import pytest

from mhray.errors import ConfigError, StorageError
from mhray.training.ray_address import find_ray


@pytest.fixture
def nothing_said(tmp_path, monkeypatch):
    """No RAY_ADDRESS; gives the file in which `ray start` notes an address."""
    monkeypatch.delenv("RAY_ADDRESS")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    note = tmp_path / "ray" / "ray_current_cluster"
    note.parent.mkdir()
    return note


@pytest.fixture
def listener():
    """The address of a port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_without_a_word_and_without_a_ray_a_command_starts_its_own(nothing_said):
    assert find_ray() is None


def test_a_ray_that_runs_on_this_machine_is_found(nothing_said, listener):
    nothing_said.write_text(listener)
    found = find_ray()
    assert (found.address, found.found_by) == (listener, "which runs on this machine")


def test_a_ray_that_is_gone_is_not_found(nothing_said):
    nothing_said.write_text("127.0.0.1:9")
    assert find_ray() is None


def test_a_ray_of_another_user_is_not_found(nothing_said, listener, monkeypatch):
    nothing_said.write_text(listener)
    monkeypatch.setattr(os, "getuid", lambda: nothing_said.stat().st_uid + 1)
    assert find_ray() is None


def test_local_means_a_ray_of_its_own_whatever_runs_here(nothing_said, listener, monkeypatch):
    nothing_said.write_text(listener)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    assert find_ray() is None


def test_a_named_ray_that_is_silent_is_refused(monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")
    message = "RAY_ADDRESS=127.0.0.1:9: no Ray can be reached .*; start it, or write RAY_ADDRESS="
    with pytest.raises(StorageError, match=message):
        find_ray().refuse_silence()


def test_auto_is_refused_where_no_ray_runs(nothing_said, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "auto")
    message = "RAY_ADDRESS=auto: no Ray runs on this machine; start it .*, or write RAY_ADDRESS="
    with pytest.raises(StorageError, match=message):
        find_ray()


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("ray://head:10001", "ray://head:10001 is for clients of Ray's, in which no sweep runs"),
        ("http://127.0.0.1:8265", "is that of a dashboard, to which commands are submitted"),
        ("https://head", "is that of a dashboard, to which commands are submitted"),
        ("head", "head is no address; write HOST:PORT, auto or local"),
        (":6379", ":6379 is no address; write HOST:PORT, auto or local"),
    ],
)
def test_what_is_no_address_of_a_ray_is_refused(monkeypatch, address, message):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(ConfigError, match="RAY_ADDRESS: ") as refused:
        find_ray()
    assert message in str(refused.value)
