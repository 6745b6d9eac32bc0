"""The sections of a report, in the order in which a reader wants them."""

from mhray.tuning.page.answer import answer, question
from mhray.tuning.page.blocks import Section
from mhray.tuning.page.cautions import cautions
from mhray.tuning.page.confirmed import confirmed
from mhray.tuning.page.curves import curves
from mhray.tuning.page.draws import parallel, slices
from mhray.tuning.page.head_table import head_table
from mhray.tuning.page.material import Material
from mhray.tuning.page.matters import matters
from mhray.tuning.page.repeat import repeat
from mhray.tuning.page.response import response
from mhray.tuning.page.timeline import spending, timeline
from mhray.tuning.page.trade_offs import trade_offs

SECTIONS = (
    question,
    answer,
    confirmed,
    head_table,
    trade_offs,
    curves,
    response,
    matters,
    parallel,
    slices,
    timeline,
    spending,
    repeat,
    cautions,
)


def sections_of(material: Material) -> list[Section]:
    """The whole report, without sections that have nothing to say."""
    sections = [section(material) for section in SECTIONS]
    return [section for section in sections if section.blocks]
