"""All that a report shows comes from the journal: what is changed there is changed on the page."""

import json
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from mhray.tuning.confirmation import Confirmation, study_of_runs
from mhray.tuning.journal import Journal
from mhray.tuning.page.contents import sections_of
from mhray.tuning.page.html import html
from mhray.tuning.page.material import material_of
from mhray.tuning.page.plotly import drawn
from mhray.tuning.study import Study, dump_study


@pytest.fixture(scope="module")
def written(a_material, a_journal, tmp_path_factory):
    """The database of a study of four trials, as the journal leaves it."""
    directory = tmp_path_factory.mktemp("studies") / "planted"
    a_journal(a_material(4), directory)
    return directory / "journal.db"


@pytest.fixture
def place(written, tmp_path):
    """A copy of it that may be changed."""
    return shutil.copy(written, tmp_path)


def page_of(place):
    material = material_of(Journal.find("planted", f"sqlite:///{place}"))
    page = html("Report of planted", sections_of(material), material)
    return re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)


def change(place, table, key, now):
    """Give one attribute in the database another value."""
    with closing(sqlite3.connect(place)) as connection, connection as database:
        query = f"SELECT rowid, value_json FROM {table} WHERE key = ? ORDER BY rowid"
        row, value = database.execute(query, [key]).fetchone()
        changed = json.dumps(now(json.loads(value)))
        database.execute(f"UPDATE {table} SET value_json = ? WHERE rowid = ?", [changed, row])


def with_accuracy(rows):
    rows[-1]["metrics"]["val/left_acc"] = 0.9876
    return rows


@pytest.mark.parametrize(
    ("table", "key", "now", "shown"),
    [
        ("trial_user_attributes", "epochs", with_accuracy, "98.8 %"),
        ("trial_user_attributes", "epochs", with_accuracy, "98.76,"),
        ("trial_user_attributes", "seed", lambda _: 777, "777"),
        (
            "trial_user_attributes",
            "overrides",
            lambda texts: [text.replace("dropout=0.1", "dropout=0.4321") for text in texts],
            "dropout=0.432",
        ),
        ("study_user_attributes", "origin", lambda found: {**found, "commit": "beef"}, "beef"),
        ("study_user_attributes", "origin", lambda found: {**found, "diff": "5ec"}, "5ec"),
        ("study_user_attributes", "data", lambda d: {**d, "fingerprint": "cafe"}, "cafe"),
        ("study_user_attributes", "start", lambda s: {**s, "question": "Why?"}, "<p>Why?</p>"),
        ("study_user_attributes", "start", lambda s: {**s, "command": "again"}, ">again<"),
        ("study_user_attributes", "seconds", lambda _: 36000.0, "10.0 h by the clock"),
        (
            "study_user_attributes",
            "study",
            lambda study: {**study, "budget": {**study["budget"], "trials": 9}},
            "4 of 9 trials have",
        ),
    ],
)
def test_what_is_changed_in_the_journal_is_changed_on_the_page(place, table, key, now, shown):
    assert shown not in page_of(place)
    change(place, table, key, now)
    assert shown in page_of(place)


def test_what_fresh_seeds_have_shown_is_on_the_page(a_material, a_journal, tmp_path):
    material = a_material(4)
    confirm = {"top": 1, "seeds": 2, "max_seeds": 2}
    study = Study.model_validate({**dump_study(material.study), "confirm": confirm})
    journal = a_journal(replace(material, study=study), tmp_path / "planted")
    train_what_is_wanted(journal, study)
    told = page_of(tmp_path / "planted" / "journal.db")
    assert re.search(r"median \d\d\.\d % over 2 fresh seeds", told)
    assert "Fresh seeds" in told
    assert "Each was trained with one seed" not in told
    assert re.search(r"13 epochs in 4 trials, (\d+) in \1 runs with fresh seeds", told)


def train_what_is_wanted(journal, study):
    runs = journal.confirmations(study_of_runs(study, study.confirm))
    row = journal.trials()[0].epochs[-1]
    while wanted := Confirmation(study, study.confirm, journal.trials(), runs.trials()).wanted():
        run, seed = wanted[0].candidate, wanted[0].seed
        number = runs.add(run.name, run.with_seed(seed), seed).number
        runs.add_epoch(number, replace(row, epoch=1, best=row.best))
        runs.end(number, "COMPLETE", value=row.best)


def test_each_figure_changes_with_the_values_that_it_draws(a_material):
    material = a_material(60)
    other = replace(material, records=a_material(61).records[1:])
    for mine, its in zip(figures(material), figures(other), strict=True):
        assert drawn(mine) != drawn(its), mine.title


def figures(material):
    blocks = [block for section in sections_of(material) for block in section.blocks]
    return [figure for block in blocks for figure in getattr(block, "figures", ())]
