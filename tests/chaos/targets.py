"""What is killed: each target is a class that finds its processes."""

from abc import ABC, abstractmethod
from typing import ClassVar

from tests.chaos.processes import Process


class Target(ABC):
    """One kind of process that an attack kills."""

    name: ClassVar[str]
    needs_worker_groups: ClassVar[bool] = False
    belongs_to_server: ClassVar[bool] = False
    ends_the_command: ClassVar[bool] = False

    @abstractmethod
    def is_hit_by(self, process: Process) -> bool:
        """Whether this process is of the kind."""


class Driver(Target):
    """The command itself."""

    name = "driver"
    ends_the_command = True

    def is_hit_by(self, process: Process) -> bool:
        return "mhray.sweep" in process.words or "tests.chaos.plain" in process.words


class TrialProcess(Target):
    """The Tune actor that trains a trial, or watches its workers."""

    name = "trial"

    def is_hit_by(self, process: Process) -> bool:
        return process.title.startswith("ray::ImplicitFunc")


class GroupWorker(Target):
    """One Ray Train worker of a trial with two."""

    name = "worker"
    needs_worker_groups = True

    def is_hit_by(self, process: Process) -> bool:
        return "TrainWorker" in " ".join(process.words)


class Raylet(Target):
    """Ray's own process on this machine."""

    name = "raylet"
    ends_the_command = True

    def is_hit_by(self, process: Process) -> bool:
        return process.title == "raylet"


class Server(Target):
    """The MLflow server, with its own workers."""

    name = "mlflow"
    belongs_to_server = True

    def is_hit_by(self, process: Process) -> bool:
        return True


TARGETS: tuple[Target, ...] = (Driver(), TrialProcess(), GroupWorker(), Raylet(), Server())
