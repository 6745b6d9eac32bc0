"""The schema and the table of keys say what the check does, and are as `make docs` writes them."""

import json
import runpy
from functools import partial

import jsonschema
import pytest

from mhray.training.project import shipped_directory
from mhray.tuning.yaml_lines import Place, read_yaml

DOCS = shipped_directory() / "docs"
STALE = "is not what the models say; run make docs"
STUDIES = sorted(shipped_directory().glob("configs/sweep_*.yaml"))


@pytest.fixture(scope="module")
def reference():
    return runpy.run_path(str(DOCS / "study_reference.py"))


def test_the_schema_is_current(reference):
    written = (DOCS / "study.schema.json").read_text(encoding="utf-8")
    assert written == reference["schema_text"](), STALE


def test_the_table_of_keys_is_current(reference):
    written = (DOCS / "study.md").read_text(encoding="utf-8")
    assert written == reference["page"](written), STALE


def test_every_key_has_a_meaning_and_says_what_may_stand_there(reference):
    for key, value, _, default, meaning in reference["rows"]():
        assert all((key, value, default, meaning)), key


def validated(study, schema):
    return [error.json_path for error in jsonschema.Draft202012Validator(schema).iter_errors(study)]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_shipped_studies_fit_the_schema(reference, path):
    study = read_yaml(path.read_text(encoding="utf-8"), partial(Place, path.name)).value
    assert validated(study, reference["schema"]()) == []


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"bugdet": {}}, "$"),
        ({"budget": {"trials": 0}}, "$.budget.trials"),
        ({"sampler": {"tpee": {}}}, "$.sampler"),
        ({"search": {"a": {"unifrom": [0, 1]}}}, "$.search.a"),
    ],
)
def test_the_schema_refuses_what_is_none_of_its_keys(reference, wrong, place):
    study = {"name": "s", "search": {"a": {"choice": [1, 2]}}, **wrong}
    assert json.dumps(validated(study, reference["schema"]())) == json.dumps([place])
