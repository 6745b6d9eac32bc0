"""An MLflow server of the harness's own, which may be killed and started again on the same port."""

import os
import socket
import subprocess
import sys
import uuid
from pathlib import Path

from tests.chaos.processes import MARK, kill, marked, wait_until

START_SECONDS = 120.0


class MlflowServer:
    """A server on SQLite in a directory.

    Attributes:
        uri: where it listens.
        mark: of its processes.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.mark = uuid.uuid4().hex
        self._port = _free_port()
        self.uri = f"http://127.0.0.1:{self._port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait for its answer; does nothing if it listens."""
        if self._listens():
            return
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
        command += ["--port", str(self._port), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db"]
        command += ["--artifacts-destination", str(self.directory / "artifacts")]
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                env=os.environ | {MARK: self.mark},
                stdout=log,
                stderr=log,
            )
        if not wait_until(self._listens, START_SECONDS):
            raise RuntimeError(f"no MLflow server at {self.uri}; see {self.directory}/server.log")

    def stop(self) -> None:
        """Kill it with all its workers."""
        kill(marked(self.mark))
        if self._process is not None:
            self._process.wait()

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
