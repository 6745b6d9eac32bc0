"""How good is each sized preset after the same computation, and how sure is that?

    python benchmarks/presets.py            # trains what is missing, then writes the page
    python benchmarks/presets.py --core-minutes 0.2 --seeds 0 --journal J --page P

Each preset is trained as it is, on multimnist, on one core, until its process has computed for 20
minutes: CPU time, so that other work on the machine costs it nothing. The epoch with the best
val/acc_mean is evaluated on the test split. Each run that ends is a line of presets.jsonl, and a
run that has a line is not trained again; docs/results.md is made from the lines of as many minutes
alone.
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import joblib
import torch
from markdown_parts import table, with_interval

from mhray.data.dataset import CIFAR100MHDataset
from mhray.training.origin import commit
from mhray.training.parts import build
from mhray.training.result import RunResult
from mhray.training.run import compose_run, evaluate_test, train

HERE = Path(__file__).resolve().parent
FAMILIES = ("cnn", "convnext", "efficientnet", "vit")
SIZES = ("64k", "210k")
EXPERIMENT = "cifar100mh_"  # in front of a preset's name
ENOUGH = 0.85  # of the best family's accuracy above chance; below it a family needs a reason
# By preset: what was found when one below that was looked into.
REASONS: dict[str, str] = {}
NO_REASON = "No reason has been looked for yet."
PAGE = """\
# What the presets reach

Made by `make results` from the runs in `benchmarks/presets.jsonl`, and not by hand.

Each run is `python -m mhray.train experiment=cifar100mh_<preset>` with nothing changed: the same
data (multimnist, 20 000 images of which a tenth validates, 4 000 test images), AdamW at a constant
1e-3, batches of 64. It ends after the epoch in which its process has computed for {minutes} minutes
on one core. Accuracies are those on the test split of the epoch with the best `val/acc_mean`: the
mean over seeds, and the half width of its 95 % interval (Student's t), which covers initialisation
and order of the images; the split and the test images are the same for all.

{table}

"best epoch" is the best of all that fit into the time, the median over seeds. Always naming the
most frequent class gets: {chances}.

## Beside the best of its size

Accuracy above that chance, the mean over heads; a preset below 85 % of the best one has its reason
beside it.

{verdicts}

Commit {commits}; machines with {cores} cores, one core per run.
"""


class SpentError(Exception):
    """The run has computed for as long as it may."""


def one_run(experiment, seed, core_minutes):
    """Trains a preset and gives its line of the journal."""
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    code = commit()  # now, since a commit made meanwhile is not what this process runs
    overrides = [f"experiment={experiment}", f"seed={seed}", "trainer.max_epochs=100000"]
    config = compose_run([*overrides, "trainer.accelerator=cpu"])
    started = time.process_time()

    def stop_when_spent(row):
        if time.process_time() - started > 60 * core_minutes:
            raise SpentError

    with tempfile.TemporaryDirectory() as folder:
        try:
            train(config, Path(folder), report=stop_when_spent, overrides=overrides)
        except SpentError:
            spent = time.process_time() - started
        result = RunResult.read(Path(folder))
        tested = evaluate_test(config, Path(result.checkpoint))
    return {
        "experiment": experiment,
        "seed": seed,
        "core_minutes": core_minutes,
        "used_core_minutes": round(spent / 60, 2),
        "epochs": result.epochs,
        "best_epoch": result.epoch,
        "metrics": {name: round(value, 5) for name, value in (result.metrics | tested).items()},
        "commit": code,
        "cores": joblib.cpu_count(),
    }


def train_missing(options):
    """Trains what has no line yet, smaller presets and earlier seeds first."""
    done = {(line["experiment"], line["seed"]) for line in read(options)}
    wanted = [
        (f"{EXPERIMENT}{family}_{size}", seed)
        for size in options.sizes
        for seed in options.seeds
        for family in FAMILIES
    ]
    missing = [run for run in wanted if run not in done]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, spawn, max_tasks_per_child=1) as pool:
        runs = [pool.submit(one_run, *run, options.core_minutes) for run in missing]
        for run in as_completed(runs):
            line = run.result()
            with options.journal.open("a", encoding="utf-8") as journal:
                journal.write(json.dumps(line) + "\n")
            print(line["experiment"], line["seed"], line["metrics"]["test/acc_mean"], flush=True)


def read(options):
    """The runs that have ended, of those that may compute for as long."""
    if not options.journal.exists():
        return []
    lines = map(json.loads, options.journal.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["core_minutes"] == options.core_minutes]


def chances():
    """What always naming the most frequent class of the train split gets on the test split."""
    config = compose_run(["experiment=cifar100mh_cnn"])
    build(config)[0].prepare_data()
    train_split, test_split = (
        CIFAR100MHDataset(config.data.data_dir, train=train) for train in (True, False)
    )
    counted = train_split.get_class_distribution(), test_split.get_class_distribution()
    return {
        head: on_test[max(on_train, key=on_train.get)] / len(test_split)
        for (head, on_train), on_test in zip(counted[0].items(), counted[1].values(), strict=True)
    }


def above_chance(runs, by_chance):
    """Test accuracy above chance, the mean over heads and seeds."""
    gains = [
        run["metrics"][f"test/{head}_acc"] - by_chance[head] for run in runs for head in by_chance
    ]
    return statistics.mean(gains)


def row(name, runs, heads):
    """A preset's row of the table."""
    names = [*(f"test/{head}_acc" for head in heads), "test/acc_mean"]
    accuracies = [with_interval([run["metrics"][name] for run in runs]) for name in names]
    first = runs[0]["metrics"]
    cost = [f"{first['model/parameters']:.0f}", f"{first['model/mflop_per_image']:.2f}"]
    epochs = [
        f"{statistics.median(run[key] for run in runs):.0f}" for key in ("best_epoch", "epochs")
    ]
    return [f"`{name}`", *accuracies, *cost, " of ".join(epochs), str(len(runs))]


def verdicts(by_preset, by_chance):
    """What each preset reaches of the best one's accuracy above chance, size by size."""
    for size in SIZES:
        gains = {
            preset: above_chance(runs, by_chance)
            for preset, runs in by_preset.items()
            if preset.endswith(f"_{size}")
        }
        for preset, gain in gains.items():
            share = gain / max(gains.values())
            why = "" if share >= ENOUGH else f" {REASONS.get(preset, NO_REASON)}"
            yield f"* `{preset}`: {share:.0%} of the best.{why}"


def page(lines, by_chance, core_minutes):
    """The page about the runs that have ended."""
    by_preset = {f"{family}_{size}": [] for size in SIZES for family in FAMILIES}
    for line in lines:
        by_preset[line["experiment"].removeprefix(EXPERIMENT)].append(line)
    by_preset = {preset: runs for preset, runs in by_preset.items() if runs}
    heads = list(by_chance)
    header = ["preset", *heads, "mean", "parameters", "MFLOP", "best epoch", "seeds"]
    rows = [row(preset, runs, heads) for preset, runs in by_preset.items()]
    commits, cores = (
        ", ".join(sorted({str(line[key]) for line in lines})) for key in ("commit", "cores")
    )
    return PAGE.format(
        minutes=f"{core_minutes:g}",
        commits=commits,
        cores=cores,
        table=table([header, *rows]),
        chances=", ".join(f"{head} {chance:.3f}" for head, chance in by_chance.items()),
        verdicts="\n".join(verdicts(by_preset, by_chance)),
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--core-minutes", type=float, default=20, help="CPU time of each run")
    parser.add_argument(
        "--seeds", type=int, nargs="*", default=[0, 1, 2], help="none: only the page"
    )
    parser.add_argument("--sizes", nargs="+", choices=SIZES, default=SIZES)
    parser.add_argument("--jobs", type=int, default=joblib.cpu_count(), help="runs at a time")
    parser.add_argument("--journal", type=Path, default=HERE / "presets.jsonl")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "results.md")
    options = parser.parse_args()
    train_missing(options)
    options.page.write_text(page(read(options), chances(), options.core_minutes), encoding="utf-8")


if __name__ == "__main__":
    main()
