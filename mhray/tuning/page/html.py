"""The report as one HTML file that needs nothing else: style, script and plotly.js are in it.

It forbids itself every request, so a report that somebody sends asks nobody anything.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined, Template

from mhray.tuning.page.blocks import Code, Figures, Section, Table, Text, figures_of
from mhray.tuning.page.material import Material
from mhray.tuning.page.palette import COLOURS
from mhray.tuning.page.plotly import drawn, plotly_script

KINDS = {"text": Text, "table": Table, "code": Code, "figures": Figures}


def html(title: str, sections: Sequence[Section], material: Material) -> str:
    """The whole report."""
    return _template().render(
        title=title,
        sections=sections,
        kind_of=_kind_of,
        style=_shipped("page.css"),
        script=_shipped("page.js"),
        plotly=plotly_script(),
        drawn=_for_a_script(_drawn(sections, material)),
    )


def _kind_of(block: object) -> str:
    return next(name for name, kind in KINDS.items() if isinstance(block, kind))


def _drawn(sections: Sequence[Section], material: Material) -> dict[str, Any]:
    """What the page's script draws, and what it shows where the mouse is."""
    return {
        "figures": {
            f"{block.name}-{index}": drawn(figure)
            for block in figures_of(sections)
            for index, figure in enumerate(block.figures)
        },
        "trials": {record.number: material.drawn(record) for record in material.records},
        "colours": {name: asdict(colour) for name, colour in COLOURS.items()},
    }


def _for_a_script(value: Any) -> str:
    r"""JSON in which nothing ends the script that it stands in.

    >>> _for_a_script({"a": "</script>"})
    '{"a":"\\u003c/script>"}'
    """
    written = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return written.replace("<", "\\u003c")


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return environment.from_string(_shipped("page.html.j2"))


def _shipped(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
