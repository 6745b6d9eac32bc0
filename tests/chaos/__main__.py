"""Attack sweeps and append what came of it, one JSON line for each kill.

    python -m tests.chaos --kills 6 --seed 0

Exit code 1 if anything was lost, repeated or left behind.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import optuna

from mhray.training.origin import commit
from tests.chaos.attack import Arena, Attacks
from tests.chaos.checks import problems
from tests.chaos.plain_arena import PlainArena
from tests.chaos.targets import TARGETS, Target


def main() -> int:
    """Run the command line; returns the exit code."""
    options = _parser().parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    root = Path(tempfile.mkdtemp(prefix="chaos-"))
    # Unix sockets below Ray's directory may have at most 107 characters in all.
    ray_files = tempfile.mkdtemp(prefix="r-")
    os.environ["MHRAY_RAY_TEMP_DIR"] = ray_files
    os.environ["RAY_ADDRESS"] = "local"
    # So that what was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    arena = PlainArena(root, options.seed) if options.plain else Arena(root, options.seed)
    system = "plain" if options.plain else "mhray"
    # Once: the file of these results may change the tree that is attacked.
    of_all = {"system": system, "commit": commit(), "cores": os.cpu_count(), "seed": options.seed}
    failed = False
    try:
        for number, targets in enumerate(_dealt(options.kills, options.per_sweep, options.targets)):
            for line in (of_all | line for line in lines_of(arena.attack(targets, number))):
                failed |= line["outcome"] == "broken"
                print(json.dumps(line), flush=True)
                _append(options.results, line)
    finally:
        arena.close()
        shutil.rmtree(ray_files, ignore_errors=True)
    if failed:
        print(f"the attacked sweeps stay in {root}", file=sys.stderr)
        return 1
    shutil.rmtree(root)
    return 0


def lines_of(attacks: Attacks) -> Iterator[dict[str, object]]:
    """A line for each kill; what was found at the end counts for all kills of the sweep."""
    found = problems(attacks.seen)
    wrong = {name: said for name, said in found.items() if said}
    for blow in attacks.blows:
        is_missed = blow.instant is None
        yield {
            "target": blow.target,
            "instant": None if blow.instant is None else round(blow.instant, 2),
            "finished_before": sum(trial.has_ended for trial in blow.before),
            "running_before": sum(not trial.has_ended for trial in blow.before),
            "kills_of_this_sweep": len(attacks.blows),
            "starts": attacks.starts,
            "trials": attacks.seen.planned,
            "checked": sorted(found),
            "outcome": "missed" if is_missed else "broken" if wrong else "kept",
            "problems": wrong,
        }


def _dealt(kills: int, per_sweep: int, names: list[str] | None) -> Iterator[list[Target]]:
    """The targets in turn, so many for each sweep; those that need worker groups alone."""
    chosen = [target for target in TARGETS if names is None or target.name in names]
    order = [chosen[index % len(chosen)] for index in range(kills)]
    local = [target for target in order if not target.needs_worker_groups]
    yield from (local[at : at + per_sweep] for at in range(0, len(local), per_sweep))
    yield from ([target] for target in order if target.needs_worker_groups)


def _append(path: Path | None, line: dict[str, object]) -> None:
    if path is not None:
        with path.open("a", encoding="utf-8") as results:
            results.write(json.dumps(line) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [target.name for target in TARGETS]
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per-sweep", type=int, default=1, help="kills of one sweep (default: 1)")
    parser.add_argument("--targets", nargs="+", choices=names, help="default: all in turn")
    parser.add_argument("--plain", action="store_true", help="a plain Ray Tune script instead")
    parser.add_argument("--results", type=Path, help="the file that gets the lines")
    return parser


if __name__ == "__main__":
    sys.exit(main())
