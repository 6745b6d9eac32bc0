"""Where a command writes: a terminal or a log, each in its own way."""

import os
from typing import TextIO

from rich.console import Console

# Set for whatever a cell of a notebook starts. A command there has a terminal, of which the cell
# shows all that was ever written: a live table would stand in it once for each time it changed.
KERNEL = "JPY_PARENT_PID"


def console_on(out: TextIO) -> Console:
    """A console that wraps between words and has a live table in a terminal, and only there.

    In a log a line is as long as it is, and so is a command anywhere, which is to be copied. A cell
    of a notebook is a log, whether it starts a command or calls one.
    What Rich reads from the environment (``FORCE_COLOR``) would draw into a log file, too.
    """
    is_terminal = out.isatty() and KERNEL not in os.environ
    as_found = None if is_terminal else False
    return Console(
        file=out,
        highlight=False,
        soft_wrap=not is_terminal,
        force_terminal=as_found,
        force_interactive=as_found,
        force_jupyter=False,
    )
