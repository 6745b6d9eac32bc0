"""Where a command writes: a terminal or a log, each in its own way."""

from typing import TextIO

from rich.console import Console


def console_on(out: TextIO) -> Console:
    """A console that wraps between words and has a live table in a terminal, and only there.

    In a log a line is as long as it is, and so is a command anywhere, which is to be copied.
    What Rich reads from the environment (``FORCE_COLOR``) would draw into a log file, too.
    """
    as_found = None if out.isatty() else False
    return Console(
        file=out,
        highlight=False,
        soft_wrap=not out.isatty(),
        force_terminal=as_found,
        force_interactive=as_found,
    )
