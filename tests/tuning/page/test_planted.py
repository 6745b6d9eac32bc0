from dataclasses import replace

import pytest

from mhray.tuning.page.contents import sections_of
from mhray.tuning.page.matters import importances_of, matters
from mhray.tuning.page.response import response
from mhray.tuning.page.trade_offs import conflict_sentences, trade_offs


@pytest.fixture(scope="module")
def planted(a_material):
    return a_material(90)


def test_the_text_names_the_two_heads_that_pull_against_each_other(planted, words):
    told = words([trade_offs(planted)])
    assert "left and right pull against each other: over 60 complete trials" in told
    assert "sum pull" not in told


def test_the_text_names_what_no_head_depends_on(planted, words):
    told = words([matters(planted)])
    assert (
        "No head depends on weight of sum or net.dropout in a way that 60 complete trials" in told
    )
    assert "What sum depends on most is optimizer.lr" in told


@pytest.mark.parametrize(("head", "other"), [("left", "right"), ("right", "left")])
def test_the_text_says_what_a_weight_buys_its_head_and_costs_the_other(planted, words, head, other):
    line = next(
        line for line in words([response(planted)]).splitlines() if f"weight of {head} " in line
    )
    assert f"buys {head} +" in line
    assert f"costs {other} -" in line


def test_heads_that_go_together_are_not_said_to_pull(planted):
    records = tuple(
        replace(record, epochs=tuple(_with_twin(row) for row in record.epochs))
        for record in planted.records
    )
    [told] = conflict_sentences(replace(planted, records=records))
    assert told.startswith("No two heads pull against each other measurably: ")


def _with_twin(row):
    left = {"val/left_acc": row.metrics["val/left_acc"], "val/left_loss": 1.0}
    return replace(
        row,
        metrics={
            **left,
            "val/right_acc": left["val/left_acc"],
            "val/right_loss": 1.0,
            "val/acc_mean": left["val/left_acc"],
        },
    )


def test_shuffled_results_depend_on_nothing(planted):
    best = [planted.validated(record) for record in planted.complete]
    moved = dict(zip((r.number for r in planted.complete), [*best[7:], *best[:7]], strict=True))
    records = tuple(
        replace(one, epochs=tuple(replace(row, metrics=moved[one.number]) for row in one.epochs))
        for one in planted.complete
    )
    assert not any(one.is_real for one in importances_of(replace(planted, records=records)))


def test_every_section_of_a_report_is_there_in_its_order(planted):
    assert [section.title for section in sections_of(planted)] == [
        "Question",
        "Answer",
        "Heads",
        "Heads against each other",
        "Learning curves",
        "What a weight buys and costs",
        "What matters for which head",
        "All that was searched",
        "Each quantity by itself",
        "Timeline",
        "What it cost",
        "To repeat it",
        "Warnings",
    ]


@pytest.mark.parametrize("trials", [0, 1, 2, 3, 13])
def test_a_study_that_has_hardly_begun_has_a_report_too(a_material, words, trials):
    material = a_material(13)
    sections = sections_of(replace(material, records=material.records[:trials]))
    assert len(sections) == 13
    assert f"{trials} trial" in words(sections)
