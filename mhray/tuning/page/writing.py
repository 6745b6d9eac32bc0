"""Writes a report: one HTML page, and the same as Markdown with its figures as PNG."""

from pathlib import Path

from mhray.durable import write_durably
from mhray.errors import filling
from mhray.tuning.page.blocks import figures_of
from mhray.tuning.page.contents import sections_of
from mhray.tuning.page.html import html
from mhray.tuning.page.markdown import markdown
from mhray.tuning.page.material import Material

REPORT = "report"  # the directory, in the study's own
PAGE = "index.html"
MARKDOWN = "report.md"


def write_report(material: Material, directory: Path) -> Path:
    """Write all files of a report into a directory of theirs; returns the page.

    Raises:
        FullDiskError: they do not fit.
        OSError: the directory cannot be written.
    """
    # Matplotlib takes longer to import than a page to write.
    from mhray.tuning.page.pngs import draw_png  # noqa: PLC0415

    title = f"Report of {material.study.name}"
    sections = sections_of(material)
    with filling(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for block in figures_of(sections):
            draw_png(block, directory)
        write_durably(directory / MARKDOWN, markdown(title, sections))
        write_durably(directory / PAGE, html(title, sections, material))
    return directory / PAGE
