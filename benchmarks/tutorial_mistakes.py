"""What does a sweep as Ray's tutorials write it show of mistakes that ``--check`` refuses?

    python benchmarks/tutorial_mistakes.py

Each mistake is put into ``tutorial_sweep.py`` where it can be expressed, and that script is run in
a process of its own: one trial of one epoch of 640 images. A sweep waits if it has not ended after
four times as long as the script without a mistake took in the same start. What happened goes into
``tutorial_mistakes.jsonl``, where a second start goes on, and from there into docs/mistakes.md.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from markdown_parts import table

from mhray.data.prepare import main as prepare

HERE = Path(__file__).resolve().parent
JOURNAL = HERE / "tutorial_mistakes.jsonl"
PAGE = HERE.parent / "docs" / "mistakes.md"
STUDIES = HERE.parent / "tests" / "broken_studies"
LONGEST = 200  # letters of a message on the page
PATIENCE = 4  # times what the script takes without a mistake

# A trial says that it has begun, since Ray keeps no result of one that it ends the sweep for.
BEGINNING = "    torch.set_num_threads(1)\n"
MARK = '    Path(config["data"]).with_name("trial_began").touch()\n'

METRIC = 'metric="val/acc_mean"'
RATE = "tune.loguniform(1e-4, 1e-2)"
SAMPLES = "num_samples=options.trials"
WEIGHTS = "**{head: tune.uniform(0.05, 2.0) for head in HEADS}"
# Of each broken study: the same mistake in the script, as what is replaced by what.
MISTAKES = {
    "loss_under_searched_weights": [
        (f'{METRIC}, mode="max"', 'metric="val/loss", mode="min"'),
        (
            "        return total\n",
            '        self.log(f"{split}/loss", total)\n        return total\n',
        ),
    ],
    "unlogged_objective": [(METRIC, 'metric="val/lft_acc"')],
    "objective_on_train": [(METRIC, 'metric="train/left_acc"')],
    "maximized_loss_of_a_head": [(METRIC, 'metric="val/left_loss"')],
    "reversed_log_range": [(RATE, "tune.loguniform(1e-2, 1e-4)")],
    "log_range_at_0": [(RATE, "tune.loguniform(0, 1e-2)")],
    "quoted_trials": [(SAMPLES, "num_samples=str(options.trials)")],
    "unknown_head_of_a_searched_weight": [(WEIGHTS, WEIGHTS.replace("HEADS", "('left', 'rigth')"))],
    "epochs_0": [('"epochs": options.epochs', '"epochs": 0')],
    "cores_that_are_not_there": [('{"cpu": 1}', '{"cpu": 4}')],
}


def script_with(changes):
    """The tutorial's source with a mistake in it."""
    text = (HERE / "tutorial_sweep.py").read_text(encoding="utf-8")
    for good, wrong in changes:
        if good not in text:
            sys.exit(f"tutorial_sweep.py has no {good!r} to replace")
        text = text.replace(good, wrong)
    return text.replace(BEGINNING, MARK + BEGINNING)


def run(name, changes, data, folder, patience=None):
    """The process of a script with a mistake in it, and its seconds; None for one that waits."""
    script = folder / f"{name}.py"
    script.write_text(script_with(changes), encoding="utf-8")
    storage = folder / name
    storage.mkdir()
    (folder / "trial_began").unlink(missing_ok=True)
    options = ["--data", data, "--storage", storage, "--trials", "1", "--epochs", "1"]
    started = time.perf_counter()
    try:
        done = subprocess.run(
            [sys.executable, str(script), *map(str, options)],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        done = None
    return done, time.perf_counter() - started


def tried(name, data, folder, good):
    """When the mistake showed, and the last line that told of it; seconds, and those without."""
    done, seconds = run(name, MISTAKES[name], data, folder, PATIENCE * good)
    waits = {"when": "never: it waits", "shows": ""}
    outcome = waits if done is None else outcome_of(done, folder / name)
    return {"mistake": name, **outcome, "seconds": round(seconds), "without": round(good)}


def outcome_of(done, storage):
    """What a process that ended has shown."""
    began = (storage.parent / "trial_began").exists()
    when = "after the first trial began" if began else "before the start"
    if errors := sorted(storage.rglob("error.txt")):
        line = errors[0].read_text(encoding="utf-8").strip().splitlines()[-1]
        return {"when": when, "shows": line}
    if done.returncode:
        return {"when": when, "shows": done.stderr.strip().splitlines()[-1]}
    return {"when": "never", "shows": done.stdout.strip().splitlines()[-1]}


def records():
    """What has been tried, in the order of this script."""
    lines = JOURNAL.read_text(encoding="utf-8").splitlines() if JOURNAL.exists() else []
    known = {record["mistake"]: record for record in map(json.loads, lines)}
    return [known[name] for name in MISTAKES if name in known]


def page():
    """The page: one row for each mistake that was tried."""
    head = ["mistake", "`mhray.sweep --check`, before the start", "Ray's tutorial script", "when"]
    rows = [head, *(_row(record) for record in records())]
    tried_so_far = f"Tried: {len(rows) - 1} of {len(MISTAKES)}.\n\n"
    return PREFACE + tried_so_far + table(rows) + "\n"


def _row(record):
    name = record["mistake"]
    says = (STUDIES / f"{name}.yaml").read_text(encoding="utf-8").splitlines()[0]
    shown = f"`{_cell(record['shows'])}`" if record["shows"] else ""
    message = says.removeprefix("# says: ").partition(": ")[2]
    return [f"[{name}](../tests/broken_studies/{name}.yaml)", _cell(message), shown, record["when"]]


def _cell(text):
    short = text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
    return short.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


PREFACE = """# Mistakes, and when they show

`tests/broken_studies/` holds studies with one mistake each, and what `--check` says of them
before anything starts. Here are those that were put into a sweep as Ray's tutorials write it
(`benchmarks/tutorial_sweep.py`), and really run: one trial, one epoch. "Never" means that the
sweep ended as if all were well, and "it waits" that it had not ended after four times as long as it
takes without a mistake. Made by `benchmarks/tutorial_mistakes.py`.

"""


def main():
    done = {record["mistake"] for record in records()}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        data = folder / "multimnist"
        prepare(["multimnist", str(data), "--train", "640", "--test", "100"])
        _, good = run("no_mistake", [], data, folder)
        for name in MISTAKES:
            if name not in done:
                record = tried(name, data, folder, good)
                with JOURNAL.open("a", encoding="utf-8") as journal:
                    journal.write(json.dumps(record) + "\n")
                print(record, flush=True)
                PAGE.write_text(page(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
