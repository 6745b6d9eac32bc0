import pytest
import torch

from mhray.training.load import count_load, images_per_epoch
from mhray.training.run import compose_run
from mhray.training.timing import seconds_per_image

CNN = "experiment=cifar100mh_cnn"


def of(*overrides):
    return compose_run([CNN, *overrides])


def test_a_load_is_what_the_speed_of_a_run_depends_on():
    load = count_load(of("data.batch_size=32", "per_worker.cpus=2"))
    assert (load.network, load.image_shape, load.batch_size) == ("SimpleCNN", (3, 32, 32), 32)
    assert (load.workers, load.cpus, load.gpus) == (1, 2.0, 0.0)
    assert load.parameters == 58_167
    assert load.mflop == pytest.approx(3.35, rel=0.01)
    assert count_load(of("model.optimizer.lr=0.1")) == count_load(of("model.loss_weights.left=2"))


@pytest.mark.parametrize(
    ("limits", "images"),
    [
        ([], 540 + 60 / 3),
        (["trainer.limit_train_batches=2"], 120 + 60 / 3),
        (["trainer.limit_train_batches=0.5", "trainer.limit_val_batches=0"], 240),
    ],
)
def test_an_epoch_is_worth_the_images_that_it_trains_and_a_third_of_those_it_validates(
    small_data, limits, images
):
    config = of(f"data.data_dir={small_data}", "data.batch_size=60", *limits)
    assert images_per_epoch(config) == pytest.approx(images)


def test_data_that_are_not_built_yet_have_as_many_images_as_their_source_gives(tmp_path):
    config = of(f"data.data_dir={tmp_path}/none")
    assert images_per_epoch(config) == pytest.approx(18_000 + 2000 / 3)


def test_a_network_is_timed_on_random_images_with_a_trials_threads(tmp_path, monkeypatch):
    ticks = iter(range(100))
    monkeypatch.setattr("mhray.training.timing.time.monotonic", lambda: float(next(ticks)))
    before = torch.get_num_threads()
    config = of(f"data.data_dir={tmp_path}/none", "data.batch_size=8")
    # Four steps of one tick each, and one more until the clock is read for the last time.
    assert seconds_per_image(config, 5.0) == 6 / 4 / 8
    assert torch.get_num_threads() == before
