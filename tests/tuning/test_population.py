import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mhray.training.changes import Change
from mhray.tuning.population import perturbed_rate, perturbed_weights, takeovers
from mhray.tuning.record import Takeover
from mhray.tuning.scheduler_kinds import Pbt
from mhray.tuning.simplex import Simplex

HEADS = ("a", "b", "c")
LR = "model.optimizer.lr"


def a_simplex(**options):
    return Simplex(simplex=HEADS, **options)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3).filter(any),
    floor=st.floats(0, 0.9),
    total=st.sampled_from([None, 3.0, 5.0]),
    step=st.floats(0.01, 10),
)
def test_perturbed_weights_keep_their_floor_and_their_sum(shares, floor, total, step):
    simplex = a_simplex(floor=floor, total=total)
    room = (total or 3.0) - 3 * floor
    weights = [floor + room * share / sum(shares) for share in shares]
    moved = perturbed_weights(weights, simplex, step, rng())
    assert sum(moved) == pytest.approx(total or 3.0)
    assert min(moved) >= floor - 1e-9


def test_log_ratios_are_moved_by_normal_noise_and_only_by_it():
    weights = [0.5, 1.0, 1.5]
    noise = rng().normal(0.0, 0.2, 3)
    moved = np.log(perturbed_weights(weights, a_simplex(), 0.2, rng())) - np.log(weights)
    assert moved - moved.mean() == pytest.approx(noise - noise.mean())


def test_a_weight_of_zero_can_grow_again():
    assert perturbed_weights([0.0, 1.0, 2.0], a_simplex(), 0.2, rng())[0] > 0


@given(st.floats(1e-4, 1e-2), st.integers(0, 99))
def test_a_perturbed_rate_is_a_factor_away_within_its_range(rate, seed):
    moved = perturbed_rate(rate, (1e-4, 1e-2), (0.8, 1.25), rng(seed))
    assert 1e-4 <= moved <= 1e-2
    assert moved in (rate * 0.8, rate * 1.25, 1e-4, 1e-2)


@pytest.fixture
def population(a_study, a_record):
    """What is decided of trials with these values at epoch 2, from trial 0 on."""

    def decide(values, pbt=None, **options):
        study = a_study(**options)
        records = [
            a_record(n, 0.0, v, overrides=an_override(n), state="RUNNING")
            for n, v in enumerate(values)
        ]
        return list(takeovers(study, pbt or Pbt(), records))

    return decide


def an_override(number):
    left = 0.5 + number / 10
    weights = (f"model.loss_weights.left={left}", f"model.loss_weights.right={2 - left}")
    return (*weights, f"{LR}={1e-3 * (1 + number)}")


def test_the_worst_quarter_takes_over_from_the_best_quarter(population):
    decided = population([0.5, 0.9, 0.1, 0.3, 0.4, 0.8, 0.2, 0.6])
    assert {one.trial for one in decided} == {2, 6}
    assert {one.parent for one in decided} <= {1, 5}
    assert all(one.epoch == 2 for one in decided)


def test_fewer_is_better_where_the_study_says_so(population):
    (decided,) = population([0.5, 0.9, 0.1, 0.3], select={"minimize": "val/acc_mean"})
    assert (decided.trial, decided.parent) == (1, 2)


def test_the_baseline_is_taken_over_from_and_never_takes_over(population):
    assert population([0.1, 0.9, 0.8, 0.7]) == []
    (decided,) = population([0.9, 0.1, 0.8, 0.7])
    assert (decided.trial, decided.parent) == (1, 0)


def test_a_takeover_is_the_parents_run_with_one_more_change(population):
    (decided,) = population([0.5, 0.9, 0.1, 0.3])
    (change,) = decided.changes
    assert decided.overrides[:3] == an_override(1)
    assert decided.overrides[3].startswith('changes=[{epoch:2,overrides:["model.loss_weights.left=')
    assert set(change.loss_weights) == {"left", "right"}
    assert change.lr in (2e-3 * 0.8, 2e-3 * 1.25)


def test_what_the_parent_changed_before_comes_first_and_is_perturbed(a_study, a_record):
    study = a_study(search={LR: {"log_uniform": [1e-4, 1.0]}})
    before = (Change(1, (f"{LR}=0.5",)),)
    records = [a_record(n, 0.0, v, overrides=(f"{LR}=0.001",)) for n, v in enumerate([0.5, 0.1])]
    parent = Takeover(0, 9, 1, (f"{LR}=0.001", "changes=[...]"), before)
    better = records[0].__class__(
        **vars(records[0]) | {"takeovers": (parent,), "overrides": parent.overrides}
    )
    (decided,) = takeovers(study, Pbt(quantile=0.5), [better, records[1]])
    assert decided.overrides[0] == f"{LR}=0.001"
    assert decided.changes[0] == before[0]
    assert decided.changes[1].lr in (0.4, 0.625)


def test_the_same_rows_and_seed_decide_the_same(population):
    values = [0.5, 0.9, 0.1, 0.3]
    assert population(values) == population(values)
    assert population(values) != population(values, Pbt(seed=1))
