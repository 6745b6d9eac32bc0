"""Why a trial failed: a small table of causes, and whether each can pass.

A trial is started again only if its cause can pass. A process that was killed may live the next
time; a loss that became NaN becomes NaN again. The process that fails writes down why, into its
trial's directory, and whoever tells of it reads that; one that was killed writes nothing.
"""

import json
import sysconfig
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from traceback import FrameSummary
from typing import ClassVar

import torch

from mhray.errors import DivergedError, MhrayError, WorkerLostError

SUMMARY, TEXT = "failure.json", "failure.txt"
OWN_CODE = str(Path(__file__).parents[1])
OTHERS = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"))


class Cause:
    """A kind of failure.

    Attributes:
        errors: the exceptions that it is known by.
        can_pass: whether the same trial may do better when it is started again.
        is_one_reason: whether it is the same failure wherever in the code it comes up.
    """

    errors: ClassVar[tuple[type[BaseException], ...]] = ()
    can_pass: ClassVar[bool] = False
    is_one_reason: ClassVar[bool] = False


class Diverged(Cause):
    """A loss became NaN or infinite."""

    errors = (DivergedError,)
    is_one_reason = True


class NoMemory(Cause):
    """The process or its GPU had no memory left, which others may have given back by then."""

    errors = (MemoryError, torch.OutOfMemoryError)
    can_pass = True
    is_one_reason = True


class Lost(Cause):
    """A process or its machine is gone: killed, stalled, or ended for the memory that it took."""

    errors = (WorkerLostError,)
    can_pass = True
    is_one_reason = True


class Refused(Cause):
    """What mhray raises on purpose: a config or data that do not fit."""

    errors = (MhrayError,)


class Raised(Cause):
    """Any other exception: a mistake in the code, which is still there the next time."""

    errors = (BaseException,)


CAUSES: tuple[type[Cause], ...] = (Diverged, NoMemory, Lost, Refused, Raised)


def cause_of(error: BaseException) -> type[Cause]:
    """The first cause that knows an exception.

    >>> cause_of(MemoryError()).can_pass, cause_of(ValueError()).can_pass
    (True, False)
    """
    return next(cause for cause in CAUSES if isinstance(error, cause.errors))


@dataclass(frozen=True)
class Failure:
    """One failure, as it travels from the process that failed.

    Attributes:
        reason: the same for failures of the same reason.
        headline: the exception and its message, on one line.
        frame: where in the user's own code, or empty.
        text: the whole traceback; a message alone, where that says everything.
    """

    reason: str
    headline: str
    frame: str
    text: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """The failure that an exception is."""
        cause = cause_of(error)
        frame = _shown(own_frame(traceback.extract_tb(error.__traceback__)))
        kind = type(error).__name__
        reason = cause.__name__ if cause.is_one_reason else f"{kind}{frame and f' {frame}'}"
        is_ours = isinstance(error, MhrayError)
        message = (str(error).strip().splitlines() or ["no message"])[-1]
        text = str(error) if is_ours else "".join(traceback.format_exception(error))
        headline = message if is_ours else f"{kind}: {message}"
        return cls(reason, headline, "" if is_ours else frame, text)

    @classmethod
    def read(cls, directory: Path) -> "Failure":
        """Why the trial of this directory failed; it was killed if it did not say."""
        try:
            return cls(**json.loads((directory / SUMMARY).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return KILLED

    def write(self, directory: Path) -> None:
        """Leave word in a trial's directory: a summary to read back, and a text for people."""
        for name, content in ((TEXT, self.text), (SUMMARY, json.dumps(asdict(self)))):
            draft = directory / f".{name}"
            draft.write_text(content, encoding="utf-8")
            draft.replace(directory / name)


DIED = "its process died without a word: killed, or out of memory"
KILLED = Failure(Lost.__name__, DIED, "", DIED)


def forget_failure(directory: Path) -> None:
    """Remove what an earlier start of a trial left."""
    for name in (TEXT, SUMMARY):
        (directory / name).unlink(missing_ok=True)


def own_frame(frames: Sequence[FrameSummary]) -> FrameSummary | None:
    """The innermost frame of the user's own code; mhray's if there is none.

    >>> ours = FrameSummary(f"{OWN_CODE}/training/run.py", 5, "train")
    >>> theirs = FrameSummary("/x/site-packages/torch/nn.py", 9, "forward")
    >>> own_frame([ours, FrameSummary("net.py", 3, "forward"), theirs]).filename
    'net.py'
    """
    ours = [frame for frame in frames if frame.filename.startswith(OWN_CODE)]
    own = [frame for frame in frames if frame not in ours and not _is_library(frame.filename)]
    innermost = own or ours
    return innermost[-1] if innermost else None


def _is_library(filename: str) -> bool:
    return filename.startswith("<") or any(part in filename for part in OTHERS)


def _shown(frame: FrameSummary | None) -> str:
    return f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" if frame else ""
