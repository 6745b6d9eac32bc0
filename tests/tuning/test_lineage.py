from dataclasses import asdict

import pytest

from mhray.training.changes import Change
from mhray.training.epoch_row import EpochRow
from mhray.tuning.lineage import as_run, rows_of_run, takeovers_of
from mhray.tuning.record import Takeover

# Trial 2 takes over from 1 at epoch 2, and trial 3 from 2 at epoch 4.
FIRST = Takeover(2, 1, 2, ("a=1",), (Change(2, ("lr=1",)),))
SECOND = Takeover(3, 2, 4, ("a=2",), ())
RECORDED = [asdict(FIRST), asdict(SECOND)]


def own_rows(number):
    return [asdict(EpochRow(epoch, {"trial": number}, 0.0, 1.0, 0.0)) for epoch in range(1, 6)]


@pytest.mark.parametrize(
    ("number", "trials"), [(1, [1, 1, 1, 1, 1]), (2, [1, 1, 2, 2, 2]), (3, [1, 1, 2, 2, 3])]
)
def test_the_rows_of_a_run_are_those_of_whoever_trained_it(number, trials):
    rows = rows_of_run(number, RECORDED, own_rows)
    assert [row.metrics["trial"] for row in rows] == trials
    assert [row.epoch for row in rows] == [1, 2, 3, 4, 5]


def test_takeovers_are_read_as_they_were_written():
    assert takeovers_of(2, RECORDED) == (FIRST,)


def test_a_record_is_that_of_the_run_and_keeps_what_was_drawn(a_record):
    record = as_run(a_record(3, 0.1, overrides=("a=0",)), RECORDED, own_rows)
    assert (record.overrides, record.drawn, record.takeovers) == (("a=2",), ("a=0",), (SECOND,))
    assert len(record.epochs) == 5


def test_a_trial_that_never_took_over_stays_as_it_is(a_record):
    record = a_record(1, 0.1)
    assert as_run(record, RECORDED, own_rows) is record
