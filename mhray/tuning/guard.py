"""The border between Ray Tune and what it calls back.

Any exception in a searcher or a callback ends Tune's loop at once, and with it every running trial.
So none may get out: the first is kept, the sweep is told to stop, and it is raised again by whoever
started the sweep, once the trials are stopped.
"""

from types import TracebackType
from typing import Self


class Guard:
    """A context that keeps the first exception raised in it.

    >>> guard = Guard()
    >>> with guard:
    ...     raise OSError("disk full")
    >>> guard.has_tripped
    True
    """

    def __init__(self) -> None:
        self.error: Exception | None = None

    @property
    def has_tripped(self) -> bool:
        """Whether an exception was kept."""
        return self.error is not None

    def reraise(self) -> None:
        """Raise what was kept, if anything."""
        if self.error is not None:
            raise self.error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception):
            return False
        self.error = self.error or error
        return True
