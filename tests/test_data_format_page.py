"""Runs the Python of docs/data_format.md, from top to bottom, beside a data set like its own."""

import doctest
import re
import sys
from itertools import chain
from pathlib import Path
from types import ModuleType

import pytest

from mhray.data.dataset_contract import MultiheadDatasetContract

PAGE = Path(__file__).parent.parent / "docs" / "data_format.md"
TEXTS_AND_BLOCKS = re.split(
    r"(?<=```python\n)(.*?)(?=```)", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL
)
(SUBCLASS,) = (block for block in TEXTS_AND_BLOCKS[1::2] if ">>>" not in block)


def examples():
    """The page with its texts left blank, so that a failure names the page's own line."""
    blank = [re.sub(".+", "", text) for text in TEXTS_AND_BLOCKS[::2]]
    pieces = zip(blank, [*TEXTS_AND_BLOCKS[1::2], ""], strict=True)
    page = "".join(chain.from_iterable(pieces))
    return doctest.DocTestParser().get_doctest(page, {}, PAGE.name, str(PAGE), 0)


def test_the_examples_show_what_they_say(foreign, monkeypatch):
    monkeypatch.chdir(foreign.directory.parents[1])
    told = []
    tried = doctest.DocTestRunner(verbose=False).run(examples(), out=told.append)
    assert not told, "".join(told)
    assert tried.attempted > 10


class TestTheSubclassOfThePage(MultiheadDatasetContract):
    """The page's data set of another format does what every data set does."""

    @pytest.fixture(autouse=True)
    def _page(self, monkeypatch):
        # A module, so that the class can be pickled, as every one that stands in a file.
        self.page = ModuleType("page")
        monkeypatch.setitem(sys.modules, "page", self.page)
        exec(compile(SUBCLASS, PAGE, "exec"), vars(self.page))

    def make(self, **transforms):
        return self.page.Squares(["3x5", "16x0", "1x15"], **transforms)

    def test_it_has_the_classes_that_its_labels_say(self):
        assert self.make().targets.tolist() == [[3, 5], [16, 0], [1, 15]]
        assert self.make()[0][0].sum() == 9
