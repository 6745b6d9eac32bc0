"""Attacks on one sweep after another: kills at random instants, then the same command again.

Each shape of sweep is run once in peace: for its metrics, and for how long it takes. An attacked
sweep gets its kills, one after the other; then it may end, and the same command is started again
until it says that the study is complete, and at least once.
"""

import random
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.checks import Aftermath
from tests.chaos.processes import Process, kill, marked, shared_memory, strays, unowned
from tests.chaos.records import Recorded, Told, journal_in, runs_at
from tests.chaos.server import MlflowServer
from tests.chaos.sweeps import GROUPS, LOCAL, Attacked, Shape, sweep_in
from tests.chaos.targets import TARGETS, Target

LONGEST = 420.0
DEATH_SECONDS = 90.0
PATIENCE = 300.0  # Ray looks now and then whether the parents of its processes live
MOST_STARTS = 4
# The last moments of a sweep are not drawn: this machine may be a little faster than it was.
LAST_PART = 0.95


@dataclass(frozen=True)
class Quiet:
    """The sweep that nobody attacked.

    Attributes:
        seconds: from its start to its end.
        shown: when the first process of each target was there.
        runs: what MLflow has of it.
    """

    seconds: float
    shown: dict[str, float]
    runs: list[Recorded]


@dataclass(frozen=True)
class Blow:
    """One kill.

    Attributes:
        instant: seconds after the latest start of the command; None: there was nothing to kill.
        before: what the storage held right after it.
        strays: what still lived when the command was dead.
    """

    target: str
    instant: float | None
    before: list[Told]
    strays: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attacks:
    """The kills of one sweep, what came of them, and how often the command was started."""

    blows: list[Blow]
    seen: Aftermath
    starts: int


class Arena:
    """What all attacks of one call share: the data, the server, the quiet sweeps, and chance.

    Attributes:
        study_runs: how many runs MLflow should have besides those of trials.
    """

    study_runs = 1

    def __init__(self, root: Path, seed: int) -> None:
        self.root = root
        self.draw = random.Random(seed)
        self.server = MlflowServer(root)
        self._quiet: dict[Shape, Quiet] = {}
        self._sweeps: list[Attacked] = []
        self.data = root / "data"
        words = ["multimnist", str(self.data), "--train", "640", "--test", "100"]
        command = [sys.executable, "-m", "mhray.data.prepare", *words]
        subprocess.run(command, check=True, capture_output=True)

    def quiet(self, shape: Shape) -> Quiet:
        """The sweep of this shape in peace, run when it is first asked for."""
        if shape not in self._quiet:
            self._quiet[shape] = self._run_quietly(shape)
        return self._quiet[shape]

    def close(self) -> None:
        """End whatever still runs, the server included."""
        for sweep in self._sweeps:
            kill(sweep.processes())
        self.server.stop()

    def attack(self, targets: list[Target], number: int) -> Attacks:
        """One sweep that gets these kills."""
        shape = GROUPS if any(target.needs_worker_groups for target in targets) else LOCAL
        quiet = self.quiet(shape)
        memory = shared_memory()
        sweep = self._sweep(f"attacked-{number}", shape)
        self._sweeps.append(sweep)
        blows, starts = self._fight(sweep, targets, quiet)
        left = [stray for blow in blows for stray in blow.strays] + _left(sweep)
        kill(sweep.processes())
        seen = Aftermath(
            before=[blow.before for blow in blows],
            after=self._at_the_end(sweep),
            runs=self._runs(sweep),
            reference=quiet.runs,
            planned=shape.trials,
            epochs=shape.epochs,
            saved=self._trained(sweep),
            kills=len(blows),
            code=sweep.code(),
            strays=left,
            memory=unowned(shared_memory() - memory),
            study_runs=self.study_runs,
        )
        return Attacks(blows, seen, starts)

    def _fight(
        self, sweep: Attacked, targets: list[Target], quiet: Quiet
    ) -> tuple[list[Blow], int]:
        """Start it, strike, and bring it to its end; the blows, and how often it was started."""
        sweep.start()
        starts = 1
        blows = []
        for target in targets:
            blows.append(self._strike(sweep, target, quiet, len(targets)))
            if sweep.code() is not None:
                self.server.start()
                sweep.start()
                starts += 1
        return blows, starts + self._bring_to_its_end(sweep)

    def _now(self, sweep: Attacked) -> list[Told]:
        return journal_in(sweep.directory)

    def _at_the_end(self, sweep: Attacked) -> list[Told]:
        return journal_in(sweep.directory)

    def _runs(self, sweep: Attacked) -> list[Recorded]:
        return runs_at(self.server.uri, sweep.directory.name)

    def _trained(self, sweep: Attacked) -> dict[str, int]:
        return {trial: len(files) for trial, files in sweep.saved.items()}

    def _sweep(self, name: str, shape: Shape) -> Attacked:
        self.server.start()
        return sweep_in(self.root / name, shape, self.data, self.server.uri)

    def _run_quietly(self, shape: Shape) -> Quiet:
        sweep = self._sweep(f"quiet-{shape.workers}", shape)
        self._sweeps.append(sweep)
        shown: dict[str, float] = {}

        def note() -> bool:
            now = time.monotonic() - sweep.started
            living = sweep.processes()
            for target in TARGETS:
                if any(target.is_hit_by(process) for process in living):
                    shown.setdefault(target.name, now)
            return False

        sweep.start()
        sweep.watch(note, LONGEST)
        seconds = time.monotonic() - sweep.started
        if sweep.code() != 0:
            kill(sweep.processes())
            raise RuntimeError(f"the quiet sweep failed; see {sweep.directory}/output.txt")
        return Quiet(seconds, shown, self._runs(sweep))

    def _strike(self, sweep: Attacked, target: Target, quiet: Quiet, kills: int) -> Blow:
        """Wait for the target, then for the drawn instant; kill, and see the command die."""
        share = self.draw.uniform(0, LAST_PART) / kills
        pause = share * (quiet.seconds - quiet.shown.get(target.name, 0.0))
        sweep.watch(lambda: bool(self._victims(sweep, target)), LONGEST)
        sweep.watch(lambda: False, pause)
        # Between two trials there may be none.
        sweep.watch(lambda: bool(self._victims(sweep, target)), LONGEST)
        victims = self._victims(sweep, target)
        if sweep.code() is not None or not victims:
            return Blow(target.name, None, self._now(sweep))
        instant = time.monotonic() - sweep.started
        kill(victims if target.belongs_to_server else [self.draw.choice(victims)])
        if not target.ends_the_command:
            return Blow(target.name, instant, self._now(sweep))
        sweep.watch(lambda: False, DEATH_SECONDS)
        hangs = ("the command, which hangs",) if sweep.code() is None else ()
        sweep.end()
        return Blow(target.name, instant, self._now(sweep), (*hangs, *_left(sweep)))

    def _victims(self, sweep: Attacked, target: Target) -> list[Process]:
        living = marked(self.server.mark) if target.belongs_to_server else sweep.processes()
        return [process for process in living if target.is_hit_by(process)]

    def _bring_to_its_end(self, sweep: Attacked) -> int:
        """Let it end, and start the same command again, at least once; returns how often."""
        sweep.watch(lambda: False, LONGEST)
        again = 0
        while again == 0 or (sweep.code() != 0 and again < MOST_STARTS):
            sweep.end()
            self.server.start()
            sweep.start()
            again += 1
            sweep.watch(lambda: False, LONGEST)
        # What MLflow has is read next.
        self.server.start()
        return again


def _left(sweep: Attacked) -> list[str]:
    return [process.title for process in strays(sweep.mark, PATIENCE)]
