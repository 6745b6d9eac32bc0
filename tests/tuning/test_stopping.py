import os
import signal
import subprocess
import sys
import time

import pytest

from mhray.tuning import stopping
from mhray.tuning.stopping import ended_in_time, handled, signals_stop

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


def sleep_after(number):
    os.kill(os.getpid(), number)
    while True:  # an alarm in the last instant before a sleep does not end it
        time.sleep(0.1)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_what_a_machine_asks_for_is_done_in_time(asked, number, monkeypatch):
    monkeypatch.setattr(stopping, "LONGEST_SECONDS", 0.01)
    with signals_stop(asked), pytest.raises(KeyboardInterrupt):
        sleep_after(number)


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


# Its main thread waits where no signal is heard, as in Ray's code for a Ray that is gone.
DEAF = """
import ctypes, os, signal, sys
from mhray.tuning.stopping import ended_in_time, handled

with ended_in_time(lambda: os._exit(3), seconds=0.1):
    with handled((signal.SIGTERM,), lambda *_: None):  # it may come before the second lock
        mutex = ctypes.create_string_buffer(256)
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
        print("deaf", flush=True)
        ctypes.CDLL(None).pthread_mutex_lock(mutex)
"""


def test_a_main_thread_that_hears_nothing_is_ended_in_time():
    command = [sys.executable, "-c", DEAF]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "deaf\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_ends_by_itself_is_left_alone(number):
    ends = []
    with ended_in_time(lambda: ends.append(1)), handled((number,), lambda *_: None):
        os.kill(os.getpid(), number)
    assert ends == []
