"""What became of sweeps whose parts were killed?

    make chaos KILLS=50         # kills parts of mhray's sweeps
    make chaos-plain KILLS=10   # and of a plain Ray Tune script
    make soak                   # 500 trials that do next to nothing
    make reliability            # writes the tables into docs/reliability.md

Only what stands between the two marks of a table is replaced: the prose is written by hand.
"""

import argparse
import json
import re
import sys
from collections import Counter
from pathlib import Path

from markdown_parts import table

HERE = Path(__file__).resolve().parent
CHECKS = {
    "finished_trials_are_kept": "finished trials lost, changed or run again",
    "running_trials_stay_themselves": "running trials gone on as others",
    "count_is_exact": "wrong number of trials",
    "few_epochs_are_repeated": "more than one epoch repeated",
    "metrics_are_those_of_a_quiet_sweep": "metrics unlike the quiet sweep's",
    "mlflow_agrees": "MLflow disagrees",
    "command_ends_well": "no end without an error",
    "nothing_is_left": "processes or memory left",
}


def read(path):
    """The lines of a results file; none if there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def by_target(lines):
    """Kills and what became of them, a row for each target, and their sum."""
    targets = list(dict.fromkeys(line["target"] for line in lines))
    rows = [["killed", "kills", "all kept", "something broken", "target was gone"]]
    for name, some in [
        *((t, [x for x in lines if x["target"] == t]) for t in targets),
        ("", lines),
    ]:
        outcomes = Counter(line["outcome"] for line in some)
        counts = [outcomes["kept"] + outcomes["broken"], outcomes["kept"], outcomes["broken"]]
        rows.append([name or "all", *map(str, counts), str(outcomes["missed"])])
    return table(rows)


def by_check(ours, theirs):
    """In how many kills each check failed, side by side."""
    sides = [[line for line in side if line["outcome"] != "missed"] for side in (ours, theirs)]
    rows = [["what went wrong", *(f"{name}, of {len(side)} kills" for name, side in _named(sides))]]
    for check, words in CHECKS.items():
        failed = [sum(check in line["problems"] for line in side) for side in sides]
        rows.append([words, *map(str, failed)])
    return table(rows)


def _named(sides):
    return zip(("mhray", "plain Ray Tune script"), sides, strict=True)


def soaked(lines):
    """The first tenth of the trials beside the last, for each soak."""
    rows = [["trials", "memory, MiB", "open files", "threads", "gap, s", "commit", "cores"]]
    for line in lines:
        pairs = (line[name] for name in ("memory_mib", "open_files", "threads", "gap_seconds"))
        cells = [f"{first:g} to {last:g}" for first, last in pairs]
        rows.append([str(line["trials"]), *cells, line["commit"], str(line["cores"])])
    return table(rows)


def where(lines):
    """On what the kills were measured."""
    commits = ", ".join(dict.fromkeys(line["commit"] for line in lines))
    cores = ", ".join(dict.fromkeys(str(line["cores"]) for line in lines))
    return f"Commits: {commits or 'none'}. Cores: {cores or 'none'}."


def replaced(text, name, content):
    """The page with this table in place of the last one.

    Raises:
        ValueError: the page has no marks of this name.
    """
    found, count = re.subn(
        rf"(<!-- {name} -->\n).*?(<!-- end -->)",
        lambda m: f"{m[1]}{content}\n{m[2]}",
        text,
        flags=re.DOTALL,
    )
    if count != 1:
        raise ValueError(f"docs/reliability.md: {count} marks <!-- {name} -->; there should be one")
    return found


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "reliability.md")
    options = parser.parse_args()
    lines = read(HERE / "chaos.jsonl")
    ours, theirs = ([x for x in lines if x["system"] == name] for name in ("mhray", "plain"))
    text = options.page.read_text(encoding="utf-8")
    try:
        for name, content in (
            ("kills", f"{by_target(ours)}\n\n{where(ours)}"),
            ("plain", f"{by_target(theirs)}\n\n{where(theirs)}"),
            ("checks", by_check(ours, theirs)),
            ("soak", soaked(read(HERE / "soak.jsonl"))),
        ):
            text = replaced(text, name, content)
    except ValueError as error:
        sys.exit(f"error: {error}")
    options.page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
