"""A SLURM of hosts, from which jobs are started as a user does: ``sbatch`` in a checkout.

Each host is a node, and the first one the controller as well. They share the home and the checkout,
as nodes do, and neither ``/tmp`` nor data.
"""

import secrets
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.hosts import HOME, ROOT, Host, Network, wait_until

PLACES = "/usr/sbin:/usr/bin"
PROGRAMS = {name: shutil.which(name, path=PLACES) for name in ("slurmctld", "slurmd", "munged")}
MUNGE, DATA = "/mnt/munge", "/mnt/data"
GOES_ON = {"PENDING", "CONFIGURING", "RUNNING", "COMPLETING"}
START_SECONDS = 300.0


@dataclass(frozen=True)
class Job:
    """A job of SLURM's.

    Attributes:
        output: what it says.
    """

    slurm: "Slurm"
    number: str
    output: Path

    def said(self) -> str:
        """All that it has said."""
        return self.output.read_text(errors="replace") if self.output.exists() else ""

    def fact(self, name: str) -> str:
        """What SLURM knows of it: ``JobState``, ``ExitCode``, and more."""
        told = self.slurm.call("scontrol", "show", "job", "-o", self.number)
        return dict(word.partition("=")[::2] for word in told.split())[name]

    def end(self, seconds: float) -> str:
        """Its exit code and the signal that ended it, once nothing of it is left."""
        wait_until(lambda: self.fact("JobState") not in GOES_ON and not self._is_queued(), seconds)
        return self.fact("ExitCode")

    def _is_queued(self) -> bool:
        return self.number in self.slurm.call("squeue", "-h", "-o", "%i").split()


@dataclass(frozen=True)
class Slurm:
    """A SLURM that runs.

    Attributes:
        nodes: the first is the controller.
        file: of its configuration.
        checkout: from which jobs are started.
    """

    nodes: tuple[Host, ...]
    file: Path
    checkout: Path

    def call(self, *command: str) -> str:
        """What a command prints that is given in the checkout.

        Raises:
            RuntimeError: it failed; with what it said.
        """
        code, said = self.try_to(*command)
        if code:
            raise RuntimeError(f"{' '.join(command)} gave {code}\n{said}")
        return said

    def try_to(self, *command: str) -> tuple[int, str]:
        """The same of a command that may fail: its exit code, too."""
        inside = ("sh", "-c", 'cd "$0" && exec "$@"', str(self.checkout))
        return self.nodes[0].answer(*inside, *command, SLURM_CONF=str(self.file))

    def submit(self, *words: str) -> Job:
        """What ``sbatch`` starts."""
        number = self.call("sbatch", "--parsable", *words).strip()
        return Job(self, number, self.checkout / f"slurm-{number}.out")


def slurm(hosts: Network, directory: Path, data: Path, *names: str) -> Slurm:
    """Start one on new hosts; each has a GPU, or a file that SLURM takes for one.

    Args:
        directory: which they share.
        data: of which the first gets a copy, at ``DATA``.
        names: of the hosts.
    """
    nodes = tuple(hosts.add(name) for name in names)
    nodes[0].run("cp", "-r", str(data), DATA)
    made = Slurm(nodes, _configured(directory, nodes), _checkout(directory / "checkout"))
    (directory / "home").mkdir()
    key = directory / "munge.key"
    key.write_bytes(secrets.token_bytes(64))
    key.chmod(0o400)
    for node in nodes:
        shared = [str(path) for path in (directory, ROOT, Path(sys.prefix))]
        node.run("sh", "-ec", SETUP, "sh", *shared, SHARED_HOME=str(directory / "home"))
        files = [f"--{name}-file={MUNGE}/{name}" for name in ("pid", "log", "seed")]
        files += [f"--key-file={key}", f"--socket={MUNGE}/socket"]
        _start(node, "munged", "--foreground", "--force", *files)
        wait_until(lambda node=node: not node.answer("test", "-S", f"{MUNGE}/socket")[0], 60)
    _start(nodes[0], "slurmctld", "-D", "-f", str(made.file))
    for node in nodes:
        _start(node, "slurmd", "-D", "-N", node.name, "-f", str(made.file))
    wait_until(lambda: _idle(made) == len(nodes), START_SECONDS)
    return made


# What of the disk they share may lie below /tmp, which they do not.
SETUP = f"""
    mkdir -p /mnt/tmp {MUNGE} /mnt/slurm/state /mnt/slurm/spool
    chmod 1777 /mnt/tmp
    mount --bind "$SHARED_HOME" {HOME}
    for path; do
        case "$path" in /tmp/*) mkdir -p "/mnt$path"; mount --bind "$path" "/mnt$path";; esac
    done
    mount --rbind /mnt/tmp /tmp
"""


def _configured(directory: Path, nodes: tuple[Host, ...]) -> Path:
    lines = [f"NodeName={node.name} NodeAddr={node.address} CPUs=2 Gres=gpu:1" for node in nodes]
    file = directory / "slurm.conf"
    controller = f"SlurmctldHost={nodes[0].name}({nodes[0].address})"
    file.write_text("\n".join([CONFIGURATION, controller, *lines, ""]))
    (directory / "gres.conf").write_text("Name=gpu File=/dev/zero\n")
    return file


CONFIGURATION = f"""
ClusterName=played
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={MUNGE}/socket
MpiDefault=none
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
GresTypes=gpu
SlurmdParameters=config_overrides
StateSaveLocation=/mnt/slurm/state
SlurmdSpoolDir=/mnt/slurm/spool
SlurmctldPidFile=/mnt/slurm/slurmctld.pid
SlurmdPidFile=/mnt/slurm/slurmd.pid
KillWait=120
PartitionName=all Nodes=ALL Default=YES
"""


def _checkout(directory: Path) -> Path:
    """The project and its environment, without what jobs leave beside them."""
    directory.mkdir()
    for name in ("mhray", "configs", "sweeps", "cluster"):
        (directory / name).symlink_to(ROOT / name)
    (directory / ".venv").symlink_to(sys.prefix)
    return directory


def _start(node: Host, program: str, *words: str) -> None:
    node.start(str(PROGRAMS[program]), *words)


def _idle(made: Slurm) -> int:
    return made.try_to("sinfo", "-h", "-N", "-o", "%T")[1].split().count("idle")
