from dataclasses import replace

import pytest

from mhray.tuning.page.answer import answer_sentences, question


def test_the_answer_is_the_best_trial_beside_trial_0_and_says_that_it_is_flattered(a_material):
    found, flattered = answer_sentences(a_material(60))
    assert found == (
        "The best of 40 complete trials is trial 19: 75.3 % of val/acc_mean, +0.6 points against "
        "trial 0 (equal weights)."
    )
    assert flattered.startswith(
        "Each was trained with one seed, so this difference has no interval"
    )


def test_a_winner_and_trial_0_are_compared_on_test(a_material):
    material = a_material(60)
    records = tuple(
        replace(one, test={"test/acc_mean": 0.5 + one.number / 100}) for one in material.records
    )
    told = list(answer_sentences(replace(material, records=records)))[-1]
    assert told == (
        "On the test split, which chose nothing, it has 69.0 %, +19.0 points against trial 0."
    )


@pytest.mark.parametrize("trials", [0, 1])
def test_without_a_better_trial_that_is_the_answer(a_material, trials):
    material = a_material(60)
    [told] = answer_sentences(replace(material, records=material.records[:trials]))
    assert told == (
        "None of 1 complete trial beats trial 0 (equal weights), which reaches 74.6 % of "
        "val/acc_mean."
        if trials
        else "No trial is complete, so there is no answer yet."
    )


def test_a_study_that_asks_nothing_is_asked_what_it_searches(a_material):
    [asked], _ = (block.sentences for block in question(a_material(13, question="")).blocks)
    assert asked == (
        "Which weight of left, weight of right, weight of sum, optimizer.lr and net.dropout make "
        "the best val/acc_mean?"
    )
