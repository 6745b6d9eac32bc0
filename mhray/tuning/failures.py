"""Why a trial failed: a small table of causes, and whether each can pass.

A trial is started again only if its cause can pass. A process that was killed may live the next
time; a loss that became NaN becomes NaN again. The process that fails writes down why, into its
trial's directory, and whoever tells of it reads that; one that was killed writes nothing.
"""

import json
import re
import sysconfig
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from traceback import FrameSummary
from typing import ClassVar

import torch

from mhray.durable import write_durably
from mhray.errors import DivergedError, MhrayError, WorkerLostError

SUMMARY, TEXT = "failure.json", "failure.txt"
OWN_CODE = str(Path(__file__).parents[1])
OTHERS = ("site-packages", "dist-packages", sysconfig.get_path("stdlib"))

_FRAME = re.compile(
    r'File "(?P<file>[^"\n]+)", line (?P<line>\d+), in (?P<name>.+)(\n +(?!File ")(?P<code>.+))?'
)


class Cause:
    """A kind of failure.

    Attributes:
        errors: the exceptions that it is known by.
        words: and those in a RuntimeError, where libraries raise nothing more telling.
        can_pass: whether the same trial may do better when it is started again.
        is_one_reason: whether it is the same failure wherever in the code it comes up.
    """

    errors: ClassVar[tuple[type[BaseException], ...]] = ()
    words: ClassVar[tuple[str, ...]] = ()
    can_pass: ClassVar[bool] = False
    is_one_reason: ClassVar[bool] = False

    @classmethod
    def knows(cls, error: BaseException) -> bool:
        """Whether an exception is of this cause."""
        has_words = any(word in str(error) for word in cls.words)
        return isinstance(error, cls.errors) or (isinstance(error, RuntimeError) and has_words)


class Diverged(Cause):
    """A loss became NaN or infinite."""

    errors = (DivergedError,)
    is_one_reason = True


class NoMemory(Cause):
    """The process or its GPU had no memory left, which others may have given back by then."""

    errors = (MemoryError, torch.OutOfMemoryError)
    # torch 2.14's allocator on the CPU, CUDA's own, and cuBLAS.
    words = ("can't allocate memory", "CUDA error: out of memory", "ALLOC_FAILED")
    can_pass = True
    is_one_reason = True


class Lost(Cause):
    """A process or its machine is gone: killed, stalled, or ended for the memory that it took."""

    errors = (WorkerLostError,)
    words = ("is killed by signal",)  # a worker of torch's DataLoader
    can_pass = True
    is_one_reason = True


class Broken(Cause):
    """The GPU has refused this process for good; what it runs next would fail as well.

    Raised as what can pass, so that its process is ended, and no other trial gets it.
    """

    errors = (torch.AcceleratorError,)
    can_pass = True


class Refused(Cause):
    """What mhray raises on purpose: a config or data that do not fit."""

    errors = (MhrayError,)


class Raised(Cause):
    """Any other exception: a mistake in the code, which is still there the next time."""

    errors = (BaseException,)


CAUSES: tuple[type[Cause], ...] = (Diverged, NoMemory, Lost, Broken, Refused, Raised)


def cause_of(error: BaseException) -> type[Cause]:
    """The first cause that knows an exception.

    >>> cause_of(MemoryError()).can_pass, cause_of(ValueError()).can_pass
    (True, False)
    """
    return next(cause for cause in CAUSES if cause.knows(error))


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
        traceback_text = "".join(traceback.format_exception(error))
        frame = _shown(own_frame(frames_in(traceback_text)))
        kind = type(error).__name__
        reason = cause.__name__ if cause.is_one_reason else f"{kind}{frame and f' {frame}'}"
        is_ours = isinstance(error, MhrayError)
        message = (str(error).strip().splitlines() or ["no message"])[-1]
        text = str(error) if is_ours else traceback_text
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
            write_durably(directory / name, content)


DIED = "its process died without a word: killed, out of memory, or its machine is gone"
KILLED = Failure(Lost.__name__, DIED, "", DIED)


def forget_failure(directory: Path) -> None:
    """Remove what an earlier start of a trial left."""
    for name in (TEXT, SUMMARY):
        (directory / name).unlink(missing_ok=True)


def frames_in(text: str) -> list[FrameSummary]:
    r"""The frames of a traceback in words: an exception of another process has lost its own.

    >>> frames_in('File "net.py", line 3, in forward\n    return x / 0')
    [<FrameSummary file net.py, line 3 in forward>]
    """
    return [
        FrameSummary(found["file"], int(found["line"]), found["name"], line=found["code"] or "")
        for found in _FRAME.finditer(text)
    ]


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
