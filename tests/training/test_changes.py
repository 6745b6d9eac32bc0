from functools import partial

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.utilities.types import LRSchedulerConfig
from omegaconf import OmegaConf
from torch.optim import SGD
from torch.optim.lr_scheduler import LambdaLR, SequentialLR

from mhray.errors import ConfigError, HeadMismatchError
from mhray.training.changes import Change, changes_of, changes_override
from mhray.training.changing import ApplyChanges, _multiply_rates
from mhray.training.run import compose_run, train

RATE = "model.optimizer.lr"
WEIGHT = "model.loss_weights.left"
FIRST, SECOND = Change(1, (f"{WEIGHT}=2.0",)), Change(2, (f"{WEIGHT}=0.5", f"{RATE}=0.004"))
CHANGES = changes_override([FIRST, SECOND])


def a_config(*changes, **model):
    listed = [{"epoch": epoch, "overrides": list(overrides)} for epoch, *overrides in changes]
    return OmegaConf.create({"changes": listed, "model": {"optimizer": {"lr": 0.001}} | model})


def test_changes_are_read_as_they_were_written():
    first = Change(2, (f"{RATE}=0.002", "model.loss_weights.a-b=1e-05"))
    changes = (first, Change(4, (f"{RATE}=1.0",)))
    config = compose_run(["experiment=cifar100mh_cnn", changes_override(changes)])
    assert changes_of(config) == changes
    assert (first.lr, first.loss_weights) == (0.002, {"a-b": 1e-05})
    assert FIRST.lr is None


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("x", "changes: should be a list, not 'x'; "),
        ([{"epoch": 1}], "changes[0]: is no change, {'epoch': 1}; "),
        ([{"epoch": 1, "overrides": [f"{RATE}=1"], "lr": 2}], "changes[0]: is no change, "),
        ([{"epoch": 0, "overrides": [RATE]}], "changes[0].epoch: should be 1 or more, not 0; "),
        (
            [{"epoch": 2, "overrides": ["data.seed=1"]}],
            (
                "changes[0].overrides[0]: data.seed does not change during a run; write "
                "model.optimizer.lr=... or model.loss_weights.<head>=..."
            ),
        ),
        (
            [{"epoch": 2, "overrides": [f"{RATE}=0"]}],
            (
                "changes[0].overrides[0]: should be a number above 0, not '0'; write "
                "model.optimizer.lr=0.5"
            ),
        ),
        (
            [{"epoch": 2, "overrides": [f"{WEIGHT}=much"]}],
            (
                "changes[0].overrides[0]: should be a number of at least 0, not 'much'; write "
                "model.loss_weights.left=0.5"
            ),
        ),
        (
            [{"epoch": 2, "overrides": [f"{RATE}=1"]}, {"epoch": 2, "overrides": [f"{RATE}=1"]}],
            "changes[1].epoch: should come after 2, not 2; sort the changes by epoch",
        ),
    ],
)
def test_what_is_no_change_is_refused(raw, message):
    with pytest.raises(ConfigError) as error:
        changes_of(OmegaConf.create({"changes": raw}))
    assert str(error.value).startswith(message)


def test_a_rate_that_is_not_set_cannot_be_changed():
    with pytest.raises(ConfigError) as error:
        ApplyChanges(a_config((1, f"{RATE}=0.1"), optimizer={}))
    assert str(error.value) == "changes[0]: model.optimizer.lr is not set; set it as well"


def watch(data_dir, directory, *overrides, **options):
    """Trains a run; gives its result and each epoch's weight of the head left and last rate."""
    seen = []

    def see(row):
        saved = torch.load(directory / "last.ckpt", weights_only=True)
        (group,) = saved["optimizer_states"][0]["param_groups"]
        seen.append((row.metrics["train/left_weight"], pytest.approx(group["lr"])))

    base = ("experiment=cifar100mh_cnn", f"data.data_dir={data_dir}", "data.batch_size=60")
    config = compose_run([*base, "trainer.accelerator=cpu", "trainer.max_epochs=4", *overrides])
    return train(config, directory, report=see, **options), seen


@pytest.fixture
def watched(small_data, tmp_path):
    """Trains a run in a directory of the test's own."""
    return partial(watch, small_data, tmp_path)


@pytest.fixture(scope="module")
def whole(small_data, tmp_path_factory):
    """A run with both changes, trained without a break."""
    return watch(small_data, tmp_path_factory.mktemp("whole"), CHANGES)


def test_each_change_holds_from_its_epoch_on(whole):
    assert whole[1] == [(1.0, 0.001), (2.0, 0.001), (0.5, 0.004), (0.5, 0.004)]


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_run_that_goes_on_makes_no_change_twice(watched, whole, tmp_path, epochs):
    watched(CHANGES, f"trainer.max_epochs={epochs}")
    result, seen = watched(CHANGES, resume_from=tmp_path / "last.ckpt")
    # The last epoch is reported again.
    assert (result.metrics, seen[1:]) == (whole[0].metrics, whole[1][epochs:])


def test_a_scheduler_keeps_its_course(watched):
    step = ("scheduler=step", "model.scheduler.step_size=1", "model.scheduler.gamma=0.5")
    _, seen = watched(CHANGES, *step)
    assert [rate for _, rate in seen] == [0.0005, 0.00025, 0.0005, 0.00025]


def test_schedulers_that_count_from_a_base_rate_follow_as_well():
    optimizer = SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    parts = [LambdaLR(optimizer, lambda epoch: 1.0), LambdaLR(optimizer, lambda epoch: 0.5)]
    scheduler = SequentialLR(optimizer, parts, milestones=[1])
    trainer = Trainer(logger=False, enable_checkpointing=False)
    trainer.strategy.optimizers = [optimizer]
    trainer.strategy.lr_scheduler_configs = [LRSchedulerConfig(scheduler)]
    _multiply_rates(trainer, 3.0)
    assert optimizer.param_groups[0]["lr"] == 3.0
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] == 1.5


def test_changed_weights_are_normalised_if_those_of_the_run_are(watched):
    _, seen = watched(CHANGES, "model.weighting.normalise=true", "trainer.max_epochs=2")
    assert [weight for weight, _ in seen] == [1.0, 2.0 * 3 / (2.0 + 1.0 + 1.0)]


def test_an_unknown_head_is_refused_before_the_first_epoch(watched):
    with pytest.raises(HeadMismatchError) as error:
        watched(changes_override([Change(3, ("model.loss_weights.lft=1.0",))]))
    assert str(error.value) == (
        "changes[0].overrides[0]: model.loss_weights.lft: the data has no such head; did you mean "
        "left? (heads: left, right, sum)"
    )


def test_weights_that_are_set_otherwise_cannot_be_changed(watched):
    with pytest.raises(
        ConfigError, match=r"changes: model.weighting is EqualWeighting, which sets"
    ):
        watched(CHANGES, "weighting=equal")
