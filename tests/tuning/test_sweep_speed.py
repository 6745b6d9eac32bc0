from dataclasses import replace

import pytest

from mhray.training.epoch_row import EpochRow
from mhray.training.load import Load
from mhray.tuning.record import Takeover, TrialRecord
from mhray.tuning.sweep_speed import epoch_seconds, lead_of, speed_of

CNN = Load(
    network="SimpleCNN",
    parameters=66_000,
    mflop=4.0,
    image_shape=(3, 32, 32),
    batch_size=64,
    workers=1,
    cpus=1.0,
    gpus=0.0,
)


def a_trial(number, begin, *epochs, gap=0.0, starts=1, takeovers=()):
    """A trial that began at a time and whose epochs took so many seconds."""
    rows, now = [], begin
    for epoch, seconds in enumerate(epochs, 1):
        now += seconds
        rows.append(EpochRow(epoch, {"val/acc_mean": 0.5}, 0.5, seconds, now))
        now += gap
    return TrialRecord(
        number, "COMPLETE", (), 0, {}, tuple(rows), "", "", starts, "", {}, (), takeovers
    )


def left_by(*trials, seconds=100.0):
    return speed_of(trials, lambda record: (CNN, 100.0), 2, seconds, "here")


def test_a_sweep_leaves_what_an_image_took_and_what_lay_around_its_epochs():
    speed = left_by(a_trial(0, 20, 10, 10), a_trial(1, 21, 10, 10), a_trial(2, 43, 10, 10))
    assert speed.measured[0].seconds_per_image == pytest.approx(0.1)
    assert speed.measured[0].epochs == 6
    assert speed.seconds_before == pytest.approx(100 - 43)
    assert speed.lead == pytest.approx(3)


def test_what_lies_between_epochs_counts_with_them():
    assert list(epoch_seconds(a_trial(0, 0, 4, 4, 4, gap=1))) == [4, 5, 5]


def test_an_epoch_in_which_the_machine_stood_still_does_not_count():
    speed = left_by(a_trial(0, 0, 10, 10, 10, 500, 10), seconds=600)
    assert speed.measured[0].seconds_per_image == 0.1


@pytest.mark.parametrize("jump", [86_400, -86_400])
@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_sweep_in_which_the_clock_was_changed_leaves_nothing(jump, at):
    one, two = a_trial(0, 0, 10, 10), a_trial(1, 20, 10, 10)
    rows = [
        replace(row, time=row.time + jump * (row.time > 10 * at))
        for row in (*one.epochs, *two.epochs)
    ]
    shifted = [replace(one, epochs=tuple(rows[:2])), replace(two, epochs=tuple(rows[2:]))]
    assert left_by(one, two) is not None
    assert (left_by(*shifted) is None) == (at > 0)


@pytest.mark.parametrize(
    "trials",
    [
        [],
        [a_trial(0, 0, starts=1)],
        [a_trial(0, 0, 10), a_trial(1, 0, 10, starts=2)],
        [a_trial(0, 0, 10, takeovers=(Takeover(0, 1, 1, (), ()),))],
    ],
)
def test_a_sweep_of_several_starts_or_without_epochs_leaves_nothing(trials):
    assert left_by(*trials) is None


def test_each_load_of_a_sweep_is_measured_for_itself():
    other = CNN.model_copy(update={"network": "VisionTransformer"})
    loads = {0: (CNN, 100.0), 1: (other, 100.0)}
    trials = [a_trial(0, 0, 10), a_trial(1, 0, 30)]
    speed = speed_of(trials, lambda record: loads[record.number], 2, 60.0, "here")
    seconds = {each.load.network: each.seconds_per_image for each in speed.measured}
    assert seconds == {"SimpleCNN": 0.1, "VisionTransformer": 0.3}


def test_a_trial_waits_for_the_place_that_is_free_first():
    trials = [a_trial(0, 0, 10), a_trial(1, 0, 30), a_trial(2, 12, 10), a_trial(3, 25, 10)]
    assert lead_of(trials, 2) == pytest.approx(2.5)
    assert lead_of(trials[:2], 2) == 0
