import pytest

from mhray.training.load import Load
from mhray.training.run import compose_run
from mhray.tuning.courses import Reached
from mhray.tuning.draws import Drawn, networks_of
from mhray.tuning.quote import Plan, disk_bytes, quote, unknown_networks
from mhray.tuning.speeds import Measured, SweepSpeed

HERE = {"seconds_before": 20.0, "lead": 0.0}


def a_load(network="SimpleCNN", mflop=4.0):
    return Load(
        network=network,
        parameters=50_000,
        mflop=mflop,
        image_shape=(3, 32, 32),
        batch_size=64,
        workers=1,
        cpus=1.0,
        gpus=0.0,
    )


def sweeps_of(load, seconds_per_image, count=30):
    one = Measured(load=load, seconds_per_image=seconds_per_image, epochs=9)
    return [SweepSpeed(machine="here", measured=(one,), **HERE)] * count


def a_plan(study, *loads, trials=(), spent=0.0):
    drawn = [Drawn((), frozenset({load.network}), load, 1000.0, 1 / len(loads)) for load in loads]
    return Plan(study, 9, 2, drawn, trials, spent)


def test_a_quote_is_what_lies_around_and_epochs_by_what_each_takes(a_study):
    found = quote(a_plan(a_study(budget={"trials": 4}), a_load()), sweeps_of(a_load(), 0.01))
    assert found.epoch == pytest.approx(10)
    assert found.epochs == 36
    assert found.seconds.middle == pytest.approx(20 + 18 * 10, rel=0.05)
    assert found.busy.middle == pytest.approx(36 * 10, rel=0.05)
    assert found.seconds.low < 0.95 * found.seconds.middle < 1.05 * found.seconds.middle
    assert found.seconds.middle < found.seconds.high / 1.05


def test_early_stopping_makes_it_less(a_study):
    plan = a_plan(a_study(budget={"trials": 60}, scheduler={"asha": {}}), a_load())
    assert quote(plan, sweeps_of(a_load(), 0.01)).epochs < 0.5 * 9 * 60


def test_it_is_not_known_as_long_as_one_of_the_networks_is_not(a_study):
    cnn, vit = a_load(), a_load("VisionTransformer")
    plan = a_plan(a_study(), cnn, vit)
    assert quote(plan, []) is None
    assert quote(plan, sweeps_of(cnn, 0.01)) is None
    assert unknown_networks(plan, sweeps_of(cnn, 0.01)) == ["VisionTransformer"]
    both = [*sweeps_of(cnn, 0.01), *sweeps_of(vit, 0.03)]
    found = quote(plan, both)
    assert found.epoch == pytest.approx(20)
    by_name = {next(iter(options)): seconds for options, seconds in found.by_options.items()}
    assert by_name == pytest.approx({"SimpleCNN": 10, "VisionTransformer": 30})


def test_what_is_timed_now_takes_the_place_of_what_was_recorded(a_study):
    timed = [Measured(load=a_load(), seconds_per_image=0.02, epochs=1)]
    plan = a_plan(a_study(), a_load())
    assert quote(plan, sweeps_of(a_load(), 0.01), timed).epoch == pytest.approx(20)


def test_a_sweep_is_never_quoted_more_than_its_hours_leave(a_study):
    plan = a_plan(a_study(budget={"trials": 100, "hours": 0.1}), a_load(), spent=100.0)
    found = quote(plan, sweeps_of(a_load(), 1.0))
    assert found.seconds.high == 260
    # An epoch takes 1000 s, so two places train a quarter of one each, less what lies around.
    assert found.busy.high < 2 * 260
    assert found.epochs == pytest.approx(2 * (260 - 20) / 1000, rel=0.1)


def test_gpu_hours_are_those_of_the_trials(a_study):
    resources = {"per_worker": {"gpus": 0.5}}
    study = a_study(resources=resources, budget={"trials": 4, "gpu_hours": 0.02})
    assert quote(a_plan(study, a_load()), sweeps_of(a_load(), 0.001)).busy.middle == pytest.approx(
        36 * 1 * 0.5, rel=0.05
    )
    found = quote(a_plan(study, a_load()), sweeps_of(a_load(), 1.0))
    assert found.busy.high == 72
    assert found.epochs == pytest.approx(72 / 1000 / 0.5, rel=0.1)


def test_a_resumed_sweep_is_quoted_what_it_lacks(a_study):
    done = [Reached(number, (), 9, has_ended=True) for number in range(3)]
    plan = a_plan(a_study(budget={"trials": 4}), a_load(), trials=done)
    assert quote(plan, sweeps_of(a_load(), 0.01)).epochs == 9


def test_two_checkpoints_with_two_moments_are_kept_of_each_trial(a_study):
    plan = a_plan(a_study(budget={"trials": 10}), a_load())
    assert disk_bytes(plan) == 10 * 2 * 3 * 4 * 50_000


def test_each_option_has_its_networks_and_their_shares_are_whole(a_study, small_data):
    base = {"experiment": "cifar100mh_cnn", "data.data_dir": str(small_data)}
    search = {
        "model": {
            "one_of": {
                "cifar100mh_cnn": {},
                "cifar100mh_vit": {"model.net.layers": {"integer": [2, 5]}},
            }
        },
        "model.optimizer.lr": {"log_uniform": [1e-4, 1e-2]},
    }
    found = networks_of(a_study(base=base, search=search), compose_run)
    names = [drawn.load.network for drawn in found]
    assert sorted(names) == ["SimpleCNN", "VisionTransformer", "VisionTransformer"]
    assert sum(drawn.share for drawn in found) == pytest.approx(1)
    assert [drawn.images for drawn in found] == [pytest.approx(540 + 60 / 3)] * 3


def test_a_network_that_cannot_be_built_is_left_out(a_study, small_data):
    base = {"experiment": "cifar100mh_cnn", "data.data_dir": str(small_data)}
    search = {"model.net.parameter_budget": {"choice": [1, 64_000]}}
    [drawn] = networks_of(a_study(base=base, search=search), compose_run)
    assert (drawn.share, drawn.load.parameters > 50_000) == (1, True)
