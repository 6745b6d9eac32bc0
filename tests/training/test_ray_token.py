"""Where the token of a Ray that is started here is kept."""

import errno
import os
import re
from pathlib import Path

import pytest

from mhray.errors import StorageError
from mhray.training.ray_token import leave_a_private_token


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home, and no token of Ray's in the environment."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def refuse(*_):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


def test_a_token_is_made_once_and_its_user_alone_can_read_it(home):
    leave_a_private_token()
    token = home / ".ray" / "auth_token"
    kept = token.read_text()
    token.chmod(0o644)
    leave_a_private_token()
    assert (token.read_text(), token.stat().st_mode & 0o777) == (kept, 0o600)


def test_a_home_that_became_read_only_serves_with_the_token_that_it_has(home, monkeypatch):
    leave_a_private_token()
    monkeypatch.setattr(Path, "chmod", refuse)
    leave_a_private_token()


def test_a_home_without_room_for_a_token_is_refused_with_what_to_write(home):
    (home / ".ray").touch()
    message = (
        f"ray: {home}/.ray/auth_token, which keeps its token, cannot be written (File exists); "
        "write 64 hexadecimal digits into a file that only you can read, and "
        "RAY_AUTH_TOKEN_PATH=THAT_FILE in front of the command"
    )
    with pytest.raises(StorageError, match=re.escape(message)):
        leave_a_private_token()
