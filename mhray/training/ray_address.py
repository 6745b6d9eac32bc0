"""Which Ray a command uses: the one it is told, the one that runs on this machine, or its own.

Read without importing Ray, which takes a second. What Ray itself does where nothing is said, to
look through this machine's processes, would find the Ray of another sweep; so only what
``ray start`` has noted counts, and only if this user has started it.
"""

import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from mhray.errors import ConfigError, StorageError

ADDRESS = "RAY_ADDRESS"
OWN, ANY = "local", "auto"
ANSWER_SECONDS = 10.0
_NOTE = "ray/ray_current_cluster"  # written by `ray start`, removed by `ray stop`


@dataclass(frozen=True)
class RunningRay:
    """A Ray that somebody has started, and that goes on when the command has ended.

    Attributes:
        address: host and port.
        found_by: how it was found, for the first line.
        label: what messages about it begin with.
    """

    address: str
    found_by: str
    label: str

    @property
    def place(self) -> str:
        """Whose machines they are."""
        return f"the cluster at {self.address}"

    def unreachable(self, reason: str) -> StorageError:
        """The error for a Ray that does not answer."""
        remedy = f"start it, or write {ADDRESS}={OWN} to use this machine"
        return StorageError(f"{self.label}: no Ray can be reached ({reason}); {remedy}")

    def refuse_silence(self) -> None:
        """Ray itself waits minutes for an address at which nobody listens.

        Raises:
            StorageError: nobody does.
        """
        if reason := _silence(self.address):
            raise self.unreachable(reason)


def find_ray() -> RunningRay | None:
    """The Ray that a command connects to; None if it has to start its own.

    Raises:
        ConfigError: ``RAY_ADDRESS`` is no address of a Ray that takes a driver.
        StorageError: it says that one runs on this machine, and none does.
    """
    named = os.environ.get(ADDRESS, "")
    if named == OWN:
        return None
    if named in {"", ANY}:
        found = _running_here()
        if named and found is None:
            raise StorageError(
                f"{ADDRESS}={ANY}: no Ray runs on this machine; start it (ray start --head), or "
                f"write {ADDRESS}={OWN}"
            )
        return found
    _refuse_no_address(named)
    return RunningRay(named, f"from {ADDRESS}", f"{ADDRESS}={named}")


def _running_here() -> RunningRay | None:
    """The Ray that this user has started on this machine, if it still answers."""
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()) / _NOTE
    try:
        is_own, address = note.stat().st_uid == os.getuid(), note.read_text("utf-8").strip()
    except OSError:
        return None
    if not is_own or not address or _silence(address):
        return None
    return RunningRay(address, "which runs on this machine", f"the Ray on this machine ({address})")


def _refuse_no_address(named: str) -> None:
    scheme, separator, rest = named.partition("://")
    host, _, port = named.rpartition(":")
    if not separator and host and port.isdigit():
        return
    wrong = {
        "ray": "is for clients of Ray's, in which no sweep runs; write HOST:6379 on a machine of "
        "the cluster, or submit the command: ray job submit -- python -m mhray.sweep ...",
        "http": "is that of a dashboard, to which commands are submitted: "
        "ray job submit -- python -m mhray.sweep ...",
    }
    scheme = scheme.removesuffix("s") if separator and rest else ""
    remedy = f"is no address; write HOST:PORT, {ANY} or {OWN}"
    raise ConfigError(f"{ADDRESS}: {named} {wrong.get(scheme, remedy)}")


def _silence(address: str) -> str | None:
    """Why nobody answers at an address; None if somebody does."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=ANSWER_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(error)
    return None
