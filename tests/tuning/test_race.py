import math
from statistics import mean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mhray.tuning.race import SAYING, Layout, Rules, pairs, stand

RULES = Rules(least=2, most=5)
VALUES = st.lists(st.floats(-1, 1), min_size=3, max_size=3)


def layout_of(**rows):
    return Layout({name: dict(enumerate(row)) for name, row in rows.items()})


def raced(candidates, truth, noise, random, twins=None, rules=RULES):
    """A race of candidates of known means; noise for each of them, and more for each seed."""
    values = {name: {} for name in truth}
    shifts = random.normal(0, 1, rules.most)
    while not (now := stand(candidates, twins or {}, Layout(values), rules)).is_over:
        for name, place in now.missing:
            luck = random.normal(0, noise[name])
            values[name][place] = truth[name] + shifts[place] + luck
    return now, Layout(values).of(now.entered)


def said_wrongly(now, layout, truth):
    """Whether any interval of a result misses the truth, and whether any word of it does."""
    rate = SAYING / pairs(len(now.entered))
    found = {
        (one, other): layout.difference(one, other, rate)
        for one in now.entered
        for other in now.entered
        if one < other
    }
    true = {(one, other): truth[one] - truth[other] for one, other in found}
    misses = [abs(found[pair].mean - true[pair]) > found[pair].half for pair in found]
    wrong = [found[pair].is_off_zero and found[pair].mean * true[pair] <= 0 for pair in found]
    return any(misses), any(wrong)


def test_for_two_candidates_the_interval_is_the_paired_one():
    table = layout_of(a=[0.5, 0.7, 0.6], b=[0.4, 0.4, 0.5])
    found = table.difference("a", "b", 0.05)
    # t is 4.303 for two degrees of freedom.
    assert found.mean == pytest.approx(0.5 / 3)
    assert found.half == pytest.approx(4.303 * math.sqrt(0.04 / 3 / 3), rel=1e-3)


def test_others_make_the_error_known_but_never_less_than_the_pairs_own_scatter():
    calm = {name: [0.1, 0.2, 0.3] for name in "cde"}
    alone = layout_of(a=[0.5, 0.7, 0.6], b=[0.4, 0.4, 0.5])
    beside = layout_of(a=[0.5, 0.7, 0.6], b=[0.4, 0.4, 0.5], **calm)
    found = beside.difference("a", "b", 0.05)
    # t is 2.306 for eight degrees of freedom.
    assert found.half == pytest.approx(
        alone.difference("a", "b", 0.05).half * 2.306 / 4.303, rel=1e-3
    )


@given(VALUES, VALUES, VALUES, st.floats(-1, 1))
def test_what_all_candidates_share_of_a_seed_changes_no_difference(a, b, c, shift):
    plain = layout_of(a=a, b=b, c=c).difference("a", "b", 0.05)
    rows = ([row[0] + shift, *row[1:]] for row in (a, b, c))
    shifted = layout_of(**dict(zip("abc", rows, strict=True))).difference("a", "b", 0.05)
    assert (shifted.mean, shifted.half) == pytest.approx((plain.mean, plain.half), abs=1e-6)


def test_one_seed_says_nothing_of_the_scatter():
    assert layout_of(a=[0.5], b=[0.4]).difference("a", "b", 0.05).half == math.inf
    assert layout_of(a=[0.5], b=[]).difference("a", "b", 0.05) is None


def test_a_race_wants_the_least_seeds_of_all_and_of_the_favourites_twin():
    now = stand(["a", "b"], {"a": "a=", "b": "b="}, layout_of(a=[0.5]), RULES)
    missing = [("b", 0), ("a=", 0), ("a", 1), ("b", 1), ("a=", 1)]
    assert (list(now.missing), now.leader, now.seeds) == (missing, "", 2)


def test_who_comes_to_lead_brings_its_twin():
    table = layout_of(a=[0.5, 0.5], b=[0.6, 0.5], **{"a=": [0.5, 0.4]})
    now = stand(["a", "b"], {"a": "a=", "b": "b="}, table, RULES)
    assert (now.leader, now.missing) == ("b", (("b=", 0), ("b=", 1)))


def test_who_is_clearly_behind_drops_out_and_the_others_go_on():
    table = layout_of(a=[0.50, 0.51], b=[0.51, 0.50], c=[0.1, 0.11])
    now = stand("abc", {}, table, RULES)
    assert (now.dropped, now.missing, now.seeds) == ({"c": 2}, (("a", 2), ("b", 2)), 3)


def test_a_race_ends_when_one_is_left_or_all_have_the_most_seeds():
    ahead = stand("ab", {}, layout_of(a=[9.0, 9.1], b=[1.0, 1.0999999]), RULES)
    assert (ahead.is_over, ahead.leader, ahead.seeds) == (True, "a", 2)
    even = stand("ab", {}, layout_of(a=[1, 2, 1, 2, 1], b=[2, 1, 2, 1, 2]), RULES)
    assert (even.is_over, even.leader, even.seeds) == (True, "b", 5)


def test_where_less_is_better_the_largest_drops_out():
    table = layout_of(a=[9.0, 9.1], b=[1.0, 1.0999999])
    now = stand("ab", {}, table, Rules(2, 5, more_is_better=False))
    assert (now.leader, now.dropped) == ("b", {"a": 2})


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_a_race_that_is_cut_off_decides_as_it_would_have(seed, most):
    truth = {"a": 0, "b": 1, "c": 3, "a=": 0, "b=": 1, "c=": 3}
    twins = {name: f"{name}=" for name in "abc"}
    noise = dict.fromkeys(truth, 1.0)
    random = np.random.default_rng(seed)
    now, layout = raced(list("abc"), truth, noise, random, twins, Rules(2, most))
    assert stand(list("abc"), twins, layout, Rules(2, most)) == now


@pytest.mark.parametrize("apart", [0.0, 3.0])
@pytest.mark.parametrize(("noises", "most"), [([1, 1, 1, 1, 1], 0.05), ([0.5, 1, 2, 0.5, 3], 0.08)])
def test_words_and_intervals_are_wrong_in_one_of_twenty_results_or_a_little_more_if_noise_differs(
    noises, most, apart
):
    names, random = list("abcde"), np.random.default_rng(0)
    truth = {name: apart * place for place, name in enumerate(names)}
    noise = dict(zip(names, noises, strict=True))
    wrong = [said_wrongly(*raced(names, truth, noise, random), truth) for _ in range(60)]
    misses, words = (mean(column) for column in zip(*wrong, strict=True))
    assert words <= misses <= most


def test_racing_spends_fewer_seeds_where_candidates_are_apart():
    names, random = list("abcde"), np.random.default_rng(0)
    spent = [
        sum(map(len, layout.values.values()))
        for apart in (0, 6)
        for _, layout in [
            raced(
                names,
                {n: apart * i for i, n in enumerate(names)},
                dict.fromkeys(names, 1.0),
                random,
            )
        ]
    ]
    assert spent[0] == 25
    assert spent[1] < 17
