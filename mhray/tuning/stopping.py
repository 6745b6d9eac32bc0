"""Signals that stop a sweep, so that what is finished is kept.

The first one has the trials stopped at their last finished epoch; a second ends at once. Who sends
SIGTERM or SIGHUP, a scheduler or a spot machine say, kills soon after, so for these it is as if a
second one came after a while. What was ignored from the start, as under nohup, stays ignored.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

FROM_A_PERSON = signal.SIGINT
FROM_A_MACHINE = (signal.SIGTERM, signal.SIGHUP)
# Kubernetes kills after 30 s, Slurm by default too; MLflow is told in what is left of it.
LONGEST_SECONDS = 20.0
LAST_SECONDS = 28.0


@contextmanager
def signals_stop(ask: Callable[[], bool]) -> Iterator[None]:
    """Has signals ask for an end; ``ask`` returns whether that is new.

    Raises:
        KeyboardInterrupt: in the block, at a second signal, or if the first one's time is up.
    """
    os.environ["TUNE_DISABLE_SIGINT_HANDLER"] = "1"

    def stop(number: int, _frame: FrameType | None) -> None:
        # Nothing is printed here: the interrupted code may be in the middle of a line itself.
        if not ask():
            raise KeyboardInterrupt
        if number in FROM_A_MACHINE:
            signal.setitimer(signal.ITIMER_REAL, LONGEST_SECONDS)

    with handled((FROM_A_PERSON, *FROM_A_MACHINE), stop), _an_alarm_interrupts():
        yield


@contextmanager
def handled(
    numbers: tuple[signal.Signals, ...], handler: Callable[[int, FrameType | None], object]
) -> Iterator[None]:
    """A handler of signals for as long as the context lasts, but of none that are ignored."""
    before = {number: signal.getsignal(number) for number in numbers}
    heard = {number: kept for number, kept in before.items() if kept != signal.SIG_IGN}
    for number in heard:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, kept in heard.items():
            signal.signal(number, kept)


@contextmanager
def _an_alarm_interrupts() -> Iterator[None]:
    with handled((signal.SIGALRM,), signal.default_int_handler):
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def ended_in_time(end: Callable[[], object], seconds: float = LAST_SECONDS) -> Iterator[None]:
    """Calls ``end``, in a thread of its own, if the block goes on so long after a machine's signal.

    A signal may be for Ray's processes as well. The main thread then hears nothing any more: it
    waits in Ray's code for those that are gone, until that ends the process without a word.
    """
    heard, tell = os.pipe()
    os.set_blocking(tell, False)
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(heard, over, end, seconds), daemon=True)
    watcher.start()
    # Written to by the system's own handler, wherever the main thread is.
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        over.set()
        os.close(tell)
        watcher.join()


def _watch(heard: int, over: threading.Event, end: Callable[[], object], seconds: float) -> None:
    with open(heard, "rb", buffering=0) as pipe:
        while number := pipe.read(1):
            if number[0] in FROM_A_MACHINE and not over.wait(seconds):
                end()
