"""``python -m mhray.studies``: the studies of a storage, and how to go on with each."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.table import Table

import mhray
from mhray.errors import ends_in_words, without_password
from mhray.training.chatter import chatter_to
from mhray.tuning.console import console_on

EXAMPLES = """\
examples:
  python -m mhray.studies
      those in studies/, a line each, with the lines that resume them and write their reports
  python -m mhray.studies /shared/studies
      those of another storage

exit codes:
  0  the studies are shown; of one that cannot be read a line says why
  2  there is no such directory, or no study in it
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    storage: Path = parser().parse_args(arguments).storage
    if not storage.is_dir():
        print(f"error: {storage}: there is no such directory; write a storage", file=sys.stderr)
        return 2
    # What Optuna has to say of an old database would stand between the lines.
    with chatter_to(Path(os.devnull)) as out:
        found = _show(storage, out)
    if not found:
        print(
            f"error: {storage}: no study is in it; write the storage of one that was started",
            file=sys.stderr,
        )
    return 0 if found else 2


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.studies",
        description="Show the studies of a storage, and how to go on with each.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument(
        "storage",
        nargs="?",
        type=Path,
        default=Path("studies"),
        metavar="STORAGE",
        help="the directory of the studies; default: studies",
    )
    result.add_argument("--version", action="version", version=f"mhray {mhray.__version__}")
    return result


def _show(storage: Path, out: TextIO) -> bool:
    """Print the studies; returns whether there is one."""
    # Optuna takes a second to import.
    from mhray.tuning.overview import glances  # noqa: PLC0415

    found = glances(storage)
    if not found:
        return False
    console = console_on(out)
    table = Table(title=f"studies in {storage}", title_justify="left")
    for column in (
        "study",
        "state",
        "trials",
        "best of each head (validation)",
        "last trial ended",
    ):
        table.add_column(column)
    for one in found:
        table.add_row(one.name, one.state, one.trials, one.best, one.when)
    console.print(table)
    for one in found:
        if one.trouble:
            console.print(f"{one.name}: {without_password(one.trouble)}", markup=False)
            continue
        if one.resume:
            console.print(f"{one.name}: resume with: {one.resume}", markup=False, soft_wrap=True)
        report = f"python -m mhray.report {one.directory}"
        console.print(f"{one.name}: report with: {report}", markup=False, soft_wrap=True)
    return True


if __name__ == "__main__":
    sys.exit(main())
