import json
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from mhray.tuning.page.contents import sections_of
from mhray.tuning.page.html import html
from mhray.tuning.page.writing import write_report

CHROMIUM = next(
    (
        found
        for name in ("chromium-headless-shell", "chromium", "google-chrome")
        if (found := shutil.which(name))
    ),
    None,
)


@pytest.fixture(scope="module")
def report(a_material, tmp_path_factory):
    directory = tmp_path_factory.mktemp("report")
    write_report(a_material(40), directory)
    return directory


def test_a_page_names_no_file_and_no_address_to_be_fetched(a_material):
    material = a_material(13)
    page = html("title", sections_of(material), material)
    markup = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL)
    assert set(re.findall(r'(?:src|href)="([^"#]*)', markup)) <= {"data:,", ""}
    assert "default-src &#39;none&#39;" in markup or "default-src 'none'" in markup


def test_words_of_a_study_are_no_markup(a_material):
    material = a_material(13, question="</p><script>alert(1)</script>")
    material = replace(material, command="</script><b>")
    page = html("<i>", sections_of(material), material)
    assert "<script>alert" not in page
    assert "</script><b>" not in page
    assert "<title>&lt;i&gt;</title>" in page


def test_the_page_holds_what_it_draws_as_json(report):
    page = (report / "index.html").read_text()
    told = re.search(r'<script type="application/json" id="drawn">(.*?)</script>', page)[1]
    drawn = json.loads(told)
    assert set(drawn["figures"]) == set(re.findall(r'class="plot" id="([^"]*)"', page))
    assert drawn["trials"]["0"] == "left=1 right=1 sum=1 lr=0.001 dropout=0.1"


def test_markdown_says_what_the_page_says_and_shows_the_files_that_are_there(report):
    told = (report / "report.md").read_text()
    assert set(re.findall(r"\]\((.*\.png)\)", told)) == {file.name for file in report.glob("*.png")}
    page = (report / "index.html").read_text()
    assert re.findall(r"^## (.*)$", told, re.MULTILINE) == re.findall(r"<h2>(.*)</h2>", page)
    for table in re.findall(r"(?:^\|.*\n)+", told, re.MULTILINE):
        assert len({line.count("|") for line in table.splitlines()}) == 1


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_without_a_network_draws_every_figure_asks_nothing_and_logs_no_error(
    report, tmp_path
):
    log = tmp_path / "net.json"
    page = report / "index.html"
    options = [
        *("--no-sandbox", "--disable-gpu", "--window-size=400,900", "--virtual-time-budget=9000"),
        *(
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
            f"--log-net-log={log}",
        ),
        *(f"--user-data-dir={tmp_path}/profile", "--disable-background-networking"),
    ]
    found = subprocess.run(
        [CHROMIUM, *options, "--dump-dom", f"file://{page}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CONSOLE" not in found.stderr
    figures = len(re.findall(r'<div class="plot" id=', page.read_text()))
    assert found.stdout.count('<div class="plot js-plotly-plot" id=') == figures > 10
    assert not re.findall(r'"url":"(?:https?|wss?):[^"]*"', log.read_text())
