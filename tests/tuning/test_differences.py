"""Which changes of a study go on, which have to be accepted, and which are refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.tuning.differences import Acceptable, Free, Refused, of_spaces, of_studies
from mhray.tuning.space import parse_space

OPTIONS = {"cnn": {}, "vit": {"model.net.heads": {"choice": [2, 4]}}}


def differences(before, now):
    spaces = (parse_space({"p": one} if one else {}) for one in (before, now))
    return list(of_spaces("search", *spaces))


@pytest.mark.parametrize(
    ("before", "now", "line", "kind"),
    [
        ({"uniform": [0, 1]}, {"uniform": [0, 2]}, "[0.0, 1.0] -> [0.0, 2.0] (wider", Acceptable),
        ({"integer": [2, 4]}, {"integer": [1, 4]}, "[2, 4] -> [1, 4] (wider range)", Acceptable),
        ({"log_uniform": [1, 2]}, {"log_uniform": [1, 1.5]}, "(narrower range)", Refused),
        ({"uniform": [0, 1]}, {"uniform": [0.5, 2]}, "(other range)", Refused),
        ({"uniform": [1, 2]}, {"log_uniform": [1, 2]}, "(other kind)", Refused),
        ({"integer": [1, 2]}, {"choice": [1, 2]}, "(other kind)", Refused),
        ({"choice": [1, 2]}, {"choice": [1, 2, 3]}, "[1, 2] -> [1, 2, 3] (more", Acceptable),
        ({"choice": [1, 2]}, {"choice": [2, 1]}, "[1, 2] -> [2, 1] (other order)", Acceptable),
        ({"choice": [1, 2, 3]}, {"choice": [1, 3]}, "(fewer choices)", Refused),
        ({"choice": [1, 2]}, {"choice": [1, 3]}, "(other choices)", Refused),
        ({"choice": [1, 2]}, {"choice": [1, 2, True]}, "(other choices)", Refused),
        ({"choice": [1, 2]}, {"choice": [1.0, 2]}, "(other choices)", Refused),
        ({"one_of": OPTIONS}, {"one_of": OPTIONS | {"c": {}}}, "(more choices)", Acceptable),
        ({"one_of": {"c": {}} | OPTIONS}, {"one_of": OPTIONS}, "(fewer choices)", Refused),
        ({"simplex": ["a", "b"]}, {"simplex": ["a", "b"], "floor": 0.1}, "(other wei", Refused),
        ({}, {"uniform": [0, 1]}, "nothing -> {uniform: [0.0, 1.0]} (added path)", Refused),
        ({"uniform": [0, 1]}, {}, "{uniform: [0.0, 1.0]} -> nothing (removed path)", Refused),
    ],
)
def test_each_change_of_a_space_has_a_kind_and_a_line(before, now, line, kind):
    [difference] = differences(before, now)
    assert isinstance(difference, kind)
    assert str(difference).startswith("search.p: ")
    assert line in str(difference)


def test_a_change_below_an_option_has_the_option_in_its_path():
    more = {"cnn": {}, "vit": {"model.net.heads": {"choice": [2, 4, 8]}}}
    [difference] = differences({"one_of": OPTIONS}, {"one_of": more})
    expected = "search.p.one_of.vit.model.net.heads: [2, 4] -> [2, 4, 8] (more choices)"
    assert str(difference) == expected


@pytest.mark.parametrize(
    ("sections", "kind", "lines"),
    [
        ({"budget": {"trials": 9}}, Free, ["budget.trials: 3 -> 9 (other budget)"]),
        (
            {"confirm": {"top": 1}},
            Free,
            ["confirm: null -> {top: 1, seeds: 2, max_seeds: 5} (other confirmation)"],
        ),
        (
            {"resources": {"retries": 0}},
            Acceptable,
            ["resources.retries: 2 -> 0 (other resources)"],
        ),
        (
            {"sampler": {"tpe": {"seed": 1, "startup_trials": 2}}},
            Acceptable,
            ["sampler: {random: {seed: 0}} -> {tpe: {startup_trials: 2, seed: 1}} (other sampler)"],
        ),
        (
            {"base": {"seed": 1}},
            Refused,
            [
                "base.trainer.max_epochs: 9 -> nothing (removed path)",
                "base.seed: nothing -> 1 (added path)",
            ],
        ),
        ({"storage": "elsewhere", "mlflow": {"register_best_as": "x"}}, Free, []),
    ],
)
def test_each_change_of_a_study_has_a_kind_and_a_line(a_study, sections, kind, lines):
    found = of_studies(a_study(), a_study(**sections))
    assert list(map(str, found)) == lines
    assert all(isinstance(difference, kind) for difference in found)


def test_a_scheduler_that_comes_or_changes_has_to_be_accepted(a_study):
    plain, strict = (a_study(scheduler={"asha": {"keep_one_in": n}}) for n in (3, 4))
    [other] = of_studies(plain, strict)
    assert str(other) == "scheduler.asha.keep_one_in: 3 -> 4 (other scheduler)"
    [new] = of_studies(a_study(), strict)
    assert isinstance(new, Acceptable)
    assert str(new).startswith("scheduler: null -> {asha: {")


@given(st.lists(st.integers(0, 9), min_size=4, max_size=4))
def test_a_range_is_wider_exactly_if_all_old_values_are_in_it(ends):
    a, b, c, d = ends
    old, new = (a, a + 1 + b), (c, c + 1 + d)
    found = differences({"integer": list(old)}, {"integer": list(new)})
    is_kept = all(new[0] <= value <= new[1] for value in range(old[0], old[1] + 1))
    assert all(isinstance(difference, Acceptable) for difference in found) == is_kept
