"""What the page makes of the lines."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("page", BENCHMARKS / "reliability_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules.pop("markdown_parts", None)
    return module


def line(target: str, outcome: str, *problems: str) -> dict[str, object]:
    return {"target": target, "outcome": outcome, "problems": {name: ["so"] for name in problems}}


def test_kills_are_counted_by_target_and_missed_ones_are_no_kills(page: ModuleType) -> None:
    lines = [line("driver", "kept"), line("driver", "missed"), line("raylet", "broken")]
    assert page.by_target(lines).splitlines()[2:] == [
        "| driver | 1 | 1 | 0 | 1 |",
        "| raylet | 1 | 0 | 1 | 0 |",
        "| all | 2 | 1 | 1 | 1 |",
    ]


def test_each_check_says_in_how_many_kills_it_failed(page: ModuleType) -> None:
    theirs = [line("raylet", "broken", "mlflow_agrees"), line("raylet", "missed", "mlflow_agrees")]
    rows = page.by_check([line("driver", "kept")], theirs).splitlines()
    assert rows[0] == "| what went wrong | mhray, of 1 kills | plain Ray Tune script, of 1 kills |"
    assert "| MLflow disagrees | 0 | 1 |" in rows


def test_a_table_replaces_the_last_one_and_no_prose(page: ModuleType) -> None:
    text = "a\n<!-- kills -->\nold\n<!-- end -->\nb\n<!-- soak -->\n<!-- end -->\n"
    expected = text.replace("old", "new")
    assert page.replaced(text, "kills", "new") == expected


def test_every_check_has_words_on_the_page(page: ModuleType) -> None:
    from tests.chaos.checks import CHECKS

    assert {check.__name__ for check in CHECKS} == set(page.CHECKS)
