"""The live picture of a sweep, as wide and as high as its terminal: nothing in it is cut off.

Where the values of all heads do not fit beside each other, a running trial shows its mean and its
worst and best head.
"""

from collections.abc import Mapping

from rich.box import SIMPLE_HEAD
from rich.columns import Columns
from rich.console import ConsoleDimensions
from rich.table import Table
from rich.text import Text

from mhray.training.epoch_row import EpochRow
from mhray.tuning.standings import Standings

VALUE = 5  # characters of 0.123
GAP = 2
BEFORE = 18  # what trial and epoch take
LINES_AROUND = 9  # summary, heads and the table's header
EXTREMES = ("mean", "worst head", "best head")


def heads_line(standings: Standings) -> Columns:
    """The best so far of each head, and whose it is."""
    cells = [
        Text(f"{word} {value:.3f} (trial {number})")
        for name, word in standings.shown.items()
        if name in standings.best_of
        for number, value in [standings.best_of[name]]
    ]
    return Columns(cells, padding=(0, GAP))


def running_table(standings: Standings, max_epochs: int, size: ConsoleDimensions) -> Table:
    """The running trials, a row each, as many as there is room for."""
    shown = standings.shown
    fits = BEFORE + sum(max(len(word), VALUE) + GAP for word in shown.values()) <= size.width
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("trial", "epoch", *(shown.values() if fits else EXTREMES)):
        table.add_column(column, justify="right", overflow="fold")
    running = sorted(standings.running.items())
    room = max(1, size.height - LINES_AROUND - len(shown) // 2)
    for number, row in running[:room]:
        epoch = f"{row.epoch if row else 0}/{max_epochs}"
        table.add_row(str(number), epoch, *(_all if fits else _extremes)(row, shown))
    if len(running) > room:
        table.caption = f"and {len(running) - room} more trials"
    return table


def values_of(row: EpochRow, shown: Mapping[str, str]) -> dict[str, float]:
    """An epoch's values by their words; a head that a trial does not predict has none."""
    return {
        word: row.metrics[f"val/{name}"]
        for name, word in shown.items()
        if f"val/{name}" in row.metrics
    }


def _all(row: EpochRow | None, shown: Mapping[str, str]) -> list[str]:
    values = values_of(row, shown) if row else {}
    return [f"{values[word]:.3f}" if word in values else "" for word in shown.values()]


def _extremes(row: EpochRow | None, shown: Mapping[str, str]) -> list[str]:
    """The mean, the worst head and the best one."""
    heads = {name: word for name, word in shown.items() if name.endswith("_acc")}
    by_value = sorted((value, word) for word, value in values_of(row, heads).items()) if row else []
    if row is None or not by_value:
        return [""] * len(EXTREMES)
    mean = "".join(f"{value:.3f}" for value in values_of(row, {"acc_mean": "mean"}).values())
    return [mean, *(f"{word} {value:.3f}" for value, word in (by_value[0], by_value[-1]))]
