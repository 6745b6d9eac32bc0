import pytest

from mhray.tuning import stalls
from mhray.tuning.stalls import Patience


@pytest.fixture
def stalled(monkeypatch, clock):
    """At which half minutes a trial is found to have stalled, if it moves at some of them."""
    monkeypatch.setattr(stalls.time, "monotonic", clock)

    def watch(minutes, moves):
        patience = Patience(minutes)
        found = []
        for half in range(8):
            if half in moves:
                patience.moved("a")
            if patience.is_over("a"):
                found.append(half)
            clock.now += 30
        return found

    return watch


@pytest.mark.parametrize(
    ("minutes", "moves", "found"),
    [
        (1.0, [0], [3, 6]),
        (1.0, [0, 2, 4, 6], []),
        (1.0, [0, 2], [5]),
        (1.0, [], [3, 6]),
        (None, [0], []),
    ],
)
def test_a_trial_stalls_each_time_that_it_ends_no_epoch_for_so_long(stalled, minutes, moves, found):
    assert stalled(minutes, moves) == found
