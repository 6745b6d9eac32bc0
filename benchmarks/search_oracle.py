"""Does mhray search well? Whole studies on tables, beside others, without training anything.

    python benchmarks/search_oracle.py              # what is missing of 20 seeds, then the page
    python benchmarks/search_oracle.py --seeds 0    # only the page, from what there is
    python benchmarks/search_oracle.py --seeds 3 --tables NAS-Bench-201 --journal J --page P

Each way of searching (search_sides.py) is asked for trials and told how they go, on tables that
know how each ends (oracle_tables.py) and on learning curves that say how each gets there
(learning_curves.py). Time is simulated: an epoch takes as long in every trial, and as many trials
train at a time as there are workers. Where trials are stopped, all spend as many epochs; what is
not trained to the end by then counts for nothing. A study has no trial 0 of its config here, since
a table has no config.

Each replay is a line of search.jsonl, and one that has a line is not run again; docs/search.md is
made of the lines with the same numbers (search_page.py).
"""

import argparse
import json
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from itertools import count
from pathlib import Path

import optuna
from learning_curves import KINDS, SameSpeed
from oracle_tables import SOURCES
from search_page import page
from search_sides import GRACE_EPOCHS, KEEP_ONE_IN, SIDES, Task

from mhray.training.origin import commit

HERE = Path(__file__).resolve().parent
WHOLE = "not stopped"  # in place of the name of learning curves
SINGLE = "NAS-Bench-201 CIFAR-100"  # its one head has a reference without stopping only


@dataclass(frozen=True)
class Plan:
    """How much is spent on a search.

    Attributes:
        epochs: of a full-length trial.
        budget: full-length trials that there are epochs for.
        workers: trials that train at a time.
        stops: whether trials that fall behind are stopped.
    """

    epochs: int
    budget: int
    workers: int
    stops: bool

    @property
    def looks(self):
        """The epochs at which something is decided; of the others nobody needs to hear."""
        found = [self.epochs]
        epoch = GRACE_EPOCHS
        while self.stops and epoch < self.epochs:
            found.append(epoch)
            epoch *= KEEP_ONE_IN
        return sorted(found)

    @property
    def deadline(self):
        """When all epochs are spent, in epochs of one trial."""
        return self.budget * self.epochs / self.workers


@dataclass(order=True)
class Running:
    """A trial that says something next at a time."""

    time: int
    number: int
    row: int = field(compare=False)
    epoch: int = field(compare=False)


def replay(side, curves, plan):
    """The full-length trials of a search in the order in which they end: final value and row."""
    numbers = count()

    def begun(now):
        number = next(numbers)
        row = curves.table.row_of(side.suggest(str(number)))
        return Running(now + plan.looks[0], number, row, plan.looks[0])

    running = [begun(0) for _ in range(plan.workers)]
    heapify(running)
    ended = []
    while (trial := heappop(running)).time <= plan.deadline:
        epoch = curves.after(trial.row, trial.epoch)
        if side.goes_on(str(trial.number), epoch):
            later = min(look for look in plan.looks if look > trial.epoch)
            then = trial.time + later - trial.epoch
            heappush(running, Running(then, trial.number, trial.row, later))
            continue
        if trial.epoch == plan.epochs:
            ended.append((side.final(epoch), trial.row))
        heappush(running, begun(trial.time))
    return ended


def outcome(table, ended):
    """How good the trial is that a search would name as the best, and what of the front it saw."""
    _, best = max(ended, key=lambda trial: trial[0])
    rows = {row for _, row in ended}
    return {
        "mean": table.means[best],
        "mean_regret": table.means.max() - table.means[best],
        "worst_head": table.worst_heads[best],
        "worst_regret": table.worst_heads.max() - table.worst_heads[best],
        "front_found": len(rows & table.front),
        "front": len(table.front),
        "full": len(ended),
    }


def one_replay(side_class, table, kind, seed, plan):
    """The numbers of one search."""
    curves = (kind or SameSpeed)(table, plan.epochs)  # at the end all curves are the same
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        side = side_class(Task(table, seed, plan.epochs, plan.stops, Path(folder)))
        found = outcome(table, replay(side, curves, plan))
        seconds = time.process_time() - started
        return found | {"told": side.told(), "cpu_seconds": round(seconds, 2)}


def label(name, side_class, kind, seed, plan):
    """What tells a replay from all others."""
    return {
        "table": name,
        "side": side_class.name,
        "curves": kind.name if kind else WHOLE,
        "seed": seed,
        "epochs": plan.epochs,
        "budget": plan.budget,
        "workers": plan.workers,
    }


def plans(options):
    """What is tried, by learning curves: None stands for trials that are never stopped."""
    whole = Plan(options.epochs, options.trials, 1, stops=False)
    stopping = Plan(options.epochs, options.budget, options.workers, stops=True)
    return {None: whole} | dict.fromkeys(KINDS, stopping)


def replay_missing(options, tables):
    """Runs what has no line yet, seed after seed, so that an unfinished journal is a fair one."""
    done = {key_of(line) for line in read(options)}
    code = commit()
    for seed in range(options.seeds):
        for name, table in tables.items():
            for kind, plan in plans(options).items():
                if kind and name == SINGLE:
                    continue
                for side_class in SIDES:
                    about = label(name, side_class, kind, seed, plan)
                    if key_of(about) in done:
                        continue
                    found = one_replay(side_class, table, kind, seed, plan)
                    line = json.dumps({**about, **found, "commit": code})
                    with options.journal.open("a", encoding="utf-8") as journal:
                        journal.write(line + "\n")
        print(f"seed {seed}: done", flush=True)


def key_of(line):
    """The values that tell a line from all others."""
    names = ("table", "side", "curves", "seed", "epochs", "budget", "workers")
    return tuple(line[name] for name in names)


def read(options):
    """The replays that were run with these numbers."""
    if not options.journal.exists():
        return []
    lines = map(json.loads, options.journal.read_text(encoding="utf-8").splitlines())
    wanted = {(plan.epochs, plan.budget, plan.workers) for plan in plans(options).values()}
    return [line for line in lines if (line["epochs"], line["budget"], line["workers"]) in wanted]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help="how many; 0: only the page")
    parser.add_argument("--tables", nargs="+", choices=SOURCES, default=list(SOURCES))
    parser.add_argument("--trials", type=int, default=100, help="where none is stopped")
    parser.add_argument("--budget", type=int, default=60, help="full trainings, with stopping")
    parser.add_argument("--epochs", type=int, default=27, help="of a full training")
    parser.add_argument("--workers", type=int, default=4, help="trials at a time, with stopping")
    parser.add_argument("--journal", type=Path, default=HERE / "search.jsonl")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "search.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tables = {name: SOURCES[name].table(name) for name in options.tables}
    replay_missing(options, tables)
    options.page.write_text(page(read(options), tables, plans(options)), encoding="utf-8")


if __name__ == "__main__":
    main()
