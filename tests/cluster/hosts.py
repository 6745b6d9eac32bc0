"""Several hosts on this machine: each with a network, mounts, processes and a name of its own.

A host is the namespaces of one process that sleeps, and all hosts hang on a switch, which is a
namespace too. So nothing of them is seen from outside, and all ends with these processes. What lies
below ``/mnt`` is a host's own, its home included; the rest of the disk is shared, as by NFS. Its
name means a loopback address, as Debian's installer has it.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HOME = "/mnt/home"
OWN = ("--net", "--mount", "--pid", "--uts", "--ipc", "--mount-proc", "--propagation", "private")
TOKEN = "0123456789abcdef0123456789abcdef"
ROOT = Path(__file__).resolve().parents[2]


class NotAllowedError(Exception):
    """This machine lets nobody make namespaces; the message says why."""


def wait_until(is_so: Callable[[], bool], seconds: float) -> None:
    """Wait for something that has to come; how long it takes decides no test."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.1)


@contextmanager
def namespaces(*kinds: str) -> Iterator[int]:
    """A process that sleeps in namespaces of its own; gives its id, and ends what is in them."""
    # Also when whoever made them is killed.
    mortal = ["setpriv", "--pdeathsig", "KILL", "unshare", "--kill-child", "--fork"]
    command = [*mortal, *kinds, "sleep", "infinity"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    try:
        while not (child := _read(children).split()) or _program(child[0]) != "sleep":
            if process.poll() is not None:
                reason = process.stderr.read().strip() if process.stderr else ""
                raise NotAllowedError(reason)
            time.sleep(0.02)
        yield int(child[0])
    finally:
        process.kill()
        process.communicate()


@dataclass
class Host:
    """One host.

    Attributes:
        name: which ``hostname`` says.
        address: in the hosts' network.
        process: that sleeps in it.
        logs: a directory for what its commands say.
        started: commands that were not waited for.
    """

    name: str
    address: str
    process: int
    logs: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def run(self, *command: str, **environment: str) -> None:
        """Run a command in it to its end.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        process = self.start(*command, **environment)
        if process.wait():
            said = self._log.read_text(errors="replace")[-4000:]
            raise RuntimeError(
                f"{self.name}: {' '.join(command)} gave {process.returncode}\n{said}"
            )

    def answer(self, *command: str, **environment: str) -> tuple[int, str]:
        """The exit code of a command, and what it prints, errors included."""
        done = subprocess.run(
            [*self._inside, *command],
            env={**_environment(), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        """Start a command in it; what it says goes into its log."""
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [*self._inside, *command],
                env={**_environment(), **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started.append(process)
        return process

    def said(self) -> str:
        """All that its commands have said."""
        return self._log.read_text(errors="replace")

    def ray(self, *options: str, **environment: str) -> None:
        """Start Ray in it, with its own directory and a token."""
        common = ("--temp-dir=/mnt/ray", "--object-store-memory=200000000", "--disable-usage-stats")
        address = f"--node-ip-address={self.address}"
        ray = str(Path(sys.executable).with_name("ray"))
        self.run(ray, "start", address, *common, *options, **environment)

    @property
    def _inside(self) -> list[str]:
        return ["nsenter", "--target", str(self.process), "-m", "-n", "-p", "-u", "-i", "--wd=/mnt"]

    @property
    def _log(self) -> Path:
        return self.logs / f"{self.name}.txt"


@dataclass
class Network:
    """Hosts on a switch.

    Attributes:
        switch: the process that holds it.
        logs: a directory.
        ends: how to end each host.
    """

    switch: int
    logs: Path
    hosts: dict[str, Host] = field(default_factory=dict)
    ends: dict[str, Callable[[], object]] = field(default_factory=dict)

    def add(self, name: str) -> Host:
        """A host with the next address."""
        holder = namespaces(*OWN)
        process = holder.__enter__()
        self.ends[name] = lambda: holder.__exit__(None, None, None)
        host = Host(name, f"10.77.0.{len(self.hosts) + 1}", process, self.logs)
        self.hosts[name] = host
        peer = f"type veth peer name eth0 netns {process}"
        self._ip(f"link add {name} {peer}")
        self._ip(f"link set {name} master switch up")
        _call(
            "nsenter",
            f"--target={process}",
            "-m",
            "-n",
            "-p",
            "-u",
            "-i",
            "sh",
            "-ec",
            _setup(host),
        )
        return host

    def cut_off(self, name: str) -> None:
        """Pull a host's cable; it goes on running."""
        self._ip(f"link set {name} down")

    def kill(self, name: str) -> None:
        """Take a host's power away: nothing it has is closed on its way out."""
        self.cut_off(name)
        self.ends.pop(name)()

    def end(self) -> None:
        """End all hosts."""
        while self.ends:
            self.ends.popitem()[1]()
        for process in (process for host in self.hosts.values() for process in host.started):
            process.wait()

    def _ip(self, words: str) -> None:
        _call("nsenter", f"--target={self.switch}", "-n", "ip", *words.split())


@contextmanager
def network(logs: Path) -> Iterator[Network]:
    """A switch without hosts, which ends with all that was added.

    Raises:
        NotAllowedError: namespaces or links cannot be made here.
    """
    with namespaces("--net") as switch:
        made = Network(switch, logs)
        try:
            made._ip("link add switch type bridge")
            made._ip("link set switch up")
        except subprocess.CalledProcessError as error:
            raise NotAllowedError(error.stderr.strip()) from None
        try:
            yield made
        finally:
            made.end()


def _setup(host: Host) -> str:
    return f"""
        hostname {host.name}
        mount -t tmpfs host /mnt
        mount -t tmpfs shm /dev/shm
        printf '127.0.0.1 localhost\\n127.0.1.1 {host.name}\\n' > /mnt/hosts
        mount --bind /mnt/hosts /etc/hosts
        mkdir -p {HOME}/.ray
        echo {TOKEN} > {HOME}/.ray/auth_token
        chmod 600 {HOME}/.ray/auth_token
        ip link set lo up
        ip address add {host.address}/24 dev eth0
        ip link set eth0 up
        ip route add default via 10.77.0.254
    """


def _environment() -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
    return {
        **kept,
        "HOME": HOME,
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "OMP_NUM_THREADS": "1",
    }


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _program(process: str) -> str:
    return _read(Path(f"/proc/{process}/comm")).strip()
