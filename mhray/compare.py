"""``python -m mhray.compare``: what several studies of the same data found, side by side."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.table import Table

import mhray
from mhray.errors import ends_in_words
from mhray.training.chatter import chatter_to
from mhray.tuning.console import console_on

EXAMPLES = """\
examples:
  python -m mhray.compare studies/loss_weights studies/weightings
      the best of each, head by head, and how far the second differs from the first
  python -m mhray.compare configs/sweep_weights.yaml studies/loss_weights-20261128-0415
      a study beside what it was before a fresh start

exit codes:
  0  the studies are shown
  2  there is no such study, or their data, their split or what chose their best differ
"""


@ends_in_words
def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = parser().parse_args(arguments)
    with chatter_to(Path(os.devnull)) as out:
        _show([options.first, *options.others], out)
    return 0


def parser() -> argparse.ArgumentParser:
    """The command line."""
    result = argparse.ArgumentParser(
        prog="python -m mhray.compare",
        description="Show what studies of the same data found, side by side.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    result.add_argument("first", metavar="STUDY", help="a study file, or <storage>/<name>")
    result.add_argument("others", nargs="+", metavar="STUDY", help="what is compared with it")
    result.add_argument("--version", action="version", version=f"mhray {mhray.__version__}")
    return result


def _show(named: Sequence[str], out: TextIO) -> None:
    # Optuna takes a second to import.
    from mhray.tuning.naming import journal_of  # noqa: PLC0415
    from mhray.tuning.page.material import material_of  # noqa: PLC0415
    from mhray.tuning.side_by_side import how_compared, side_by_side  # noqa: PLC0415

    studies = [material_of(journal_of(name)[0]) for name in named]
    header, rows = side_by_side(studies)
    table = Table(title="the best trials, on validation", title_justify="left")
    for index, column in enumerate(header):
        table.add_column(column, justify="right" if index else "left")
    for row in rows:
        table.add_row(*row)
    console = console_on(out)
    console.print(table)
    for line in how_compared(studies):
        console.print(line, markup=False)


if __name__ == "__main__":
    sys.exit(main())
