from math import exp

import pytest

from mhray.training.load import Load
from mhray.tuning.speeds import Measured, Pace, SweepSpeed, overheads, pace_of, record, recorded

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


def like(**changes):
    return CNN.model_copy(update=changes)


def took(*seconds, **changes):
    return [Measured(load=like(**changes), seconds_per_image=each, epochs=9) for each in seconds]


def a_sweep(machine="here", seconds=1.0, before=20.0, lead=1.0):
    measured = tuple(took(seconds))
    return SweepSpeed(machine=machine, measured=measured, seconds_before=before, lead=lead)


@pytest.fixture(autouse=True)
def _no_speeds_yet(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_what_a_sweep_leaves_is_read_on_its_machine_only(tmp_path):
    for machine in ("here", "there", "here"):
        record(a_sweep(machine))
    assert recorded("here") == [a_sweep(), a_sweep()]
    assert recorded("elsewhere") == []


def test_lines_that_cannot_be_read_are_left_out(tmp_path):
    record(a_sweep())
    [path] = (tmp_path / "mhray").iterdir()
    of_a_changed_clock = path.read_text().replace('"seconds_per_image":1', '"seconds_per_image":-1')
    lines = "rubbish\n" + path.read_text() + '{"machine": "here"}\n' + of_a_changed_clock
    path.write_text(lines)
    record(a_sweep())
    assert recorded("here") == [a_sweep(), a_sweep()]


def test_the_newest_speeds_are_kept(monkeypatch):
    monkeypatch.setattr("mhray.tuning.speeds.KEPT", 3)
    for seconds in range(1, 6):
        record(a_sweep(seconds=float(seconds)))
    assert [sweep.measured[0].seconds_per_image for sweep in recorded("here")] == [3.0, 4.0, 5.0]


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    record(a_sweep())
    assert recorded("here") == []


@pytest.mark.parametrize(
    "change",
    [
        {"network": "VisionTransformer"},
        {"image_shape": (3, 64, 64)},
        {"workers": 2},
        {"cpus": 2.0},
        {"gpus": 1.0},
    ],
)
def test_nothing_is_known_of_what_was_never_trained(change):
    assert pace_of(like(**change), took(1.0)) is None


def test_within_a_class_time_follows_arithmetic():
    assert pace_of(like(mflop=8.0), took(1.0)).seconds == pytest.approx(2.0)


def test_few_sweeps_are_believed_less_than_many_that_agree():
    few, many = (pace_of(CNN, took(*[1.0] * count)) for count in (2, 20))
    assert few.deviation > 2 * many.deviation > 0.2


def test_the_spread_is_that_between_sweeps():
    pace = pace_of(CNN, took(*[exp(step / 10) for step in range(-10, 11)]))
    assert pace == Pace(pytest.approx(1.0), pytest.approx(0.64, rel=0.05))


def test_another_batch_size_serves_where_there_is_no_better_and_is_believed_less():
    other = took(3.0, batch_size=128)
    pace = pace_of(CNN, other)
    assert pace.seconds == pytest.approx(3.0)
    assert pace.deviation > pace_of(CNN, took(1.0)).deviation
    assert pace_of(CNN, [*other, *took(1.0)]) == pace_of(CNN, took(1.0))


def test_what_lies_outside_of_epochs_is_what_it_usually_was():
    sweeps = [a_sweep(before=before, lead=2.0) for before in (10.0, 30.0, 200.0)]
    before, lead = overheads(sweeps)
    assert (before.seconds, lead) == (pytest.approx(30.0), 2.0)
    assert overheads([])[0].deviation > 0.3
