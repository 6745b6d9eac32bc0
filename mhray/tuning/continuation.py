"""Whether a study may go on as it is written now: what is refused, and what has to be accepted."""

from collections.abc import Iterable, Sequence

from mhray.errors import StudyConflictError
from mhray.tuning.differences import Acceptable, Difference, Refused


def refuse_refused(name: str, found: Sequence[Difference]) -> None:
    """Refuses a study of which something differs that cannot change.

    Raises:
        StudyConflictError: one message with every difference.
    """
    if any(isinstance(difference, Refused) for difference in found):
        raise StudyConflictError(
            f"name: the journal holds another study named {name}:\n{_lines(found)}\n"
            "write another name, or take back what cannot change: "
            f"{_paths(found, Refused)}"
        )


def refuse_unaccepted(name: str, found: Sequence[Difference]) -> None:
    """Refuses a study of which something has changed that the user has to accept.

    Raises:
        StudyConflictError: one message with every difference.
    """
    if any(isinstance(difference, Acceptable) for difference in found):
        raise StudyConflictError(
            f"name: the study named {name} is not what its journal holds:\n{_lines(found)}\n"
            "add --accept-changes to go on with it as it is now, write another name, or take back "
            f"{_paths(found, Acceptable)}"
        )


def _lines(found: Iterable[Difference]) -> str:
    return "\n".join(f"  {difference}" for difference in found)


def _paths(found: Iterable[Difference], kind: type[Difference]) -> str:
    return ", ".join(difference.path for difference in found if isinstance(difference, kind))
