"""What the pages that are made of measurements share."""

from mhray.tuning.comparison import interval


def table(rows):
    """A table of Markdown, its first row the header."""
    return "\n".join(
        f"| {' | '.join(cells)} |" for cells in [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    )


def with_interval(values):
    """A mean over seeds and the half width of its 95 % interval; nothing for no values."""
    return f"{interval(values):.3f}" if values else ""
