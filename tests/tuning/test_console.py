import io

import pytest
from typing_extensions import override

from mhray.tuning.console import KERNEL, console_on


class Terminal(io.StringIO):
    @override
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of a plain environment."""
    for name in (KERNEL, "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return Terminal()


def test_a_terminal_is_drawn_into_and_a_cell_of_a_notebook_is_a_log(terminal, monkeypatch):
    assert console_on(terminal).is_interactive
    monkeypatch.setenv(KERNEL, "123")
    console = console_on(terminal)
    assert (console.is_interactive, console.is_terminal) == (False, False)
    console.print("[bold red]one line[/]" * 20)
    assert terminal.getvalue() == "one line" * 20 + "\n"


def test_no_color_is_heeded(terminal, monkeypatch):
    console_on(terminal).print("[red]red[/]")
    assert "\x1b[31m" in terminal.getvalue()
    monkeypatch.setenv("NO_COLOR", "1")
    uncoloured = Terminal()
    console_on(uncoloured).print("[red]red[/]")
    assert uncoloured.getvalue() == "red\n"
