import os
import signal
import time

import pytest

from mhray.tuning import stopping
from mhray.tuning.stopping import handled, signals_stop

ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Asked:
    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return self.times == 1


@pytest.fixture
def asked():
    return Asked()


@pytest.mark.parametrize("number", ALL)
def test_the_first_signal_asks_and_the_second_interrupts(asked, number):
    before = signal.getsignal(number)  # pytest's, or one that Ray has left in this process
    with signals_stop(asked):
        os.kill(os.getpid(), number)
        assert asked.times == 1
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_machine_asks_for_is_done_in_time(asked, number, monkeypatch):
    monkeypatch.setattr(stopping, "LONGEST_SECONDS", 0.01)
    with signals_stop(asked):
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt):
            time.sleep(3600)


def test_a_person_may_wait_as_long_as_it_takes_and_no_alarm_stays(asked):
    with signals_stop(asked):
        os.kill(os.getpid(), signal.SIGINT)
        assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        signal.setitimer(signal.ITIMER_REAL, 100)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_a_hangup_under_nohup_stays_ignored(asked):
    with handled((signal.SIGHUP,), signal.SIG_IGN), signals_stop(asked):
        os.kill(os.getpid(), signal.SIGHUP)
    assert asked.times == 0
