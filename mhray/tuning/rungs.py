"""When a study's scheduler decides: the epochs at which trials may be stopped.

Nothing here knows Ray, so that a study can be quoted before one is started.
"""

from math import ceil

from mhray.tuning.scheduler_kinds import (
    AshaScheduler,
    HyperbandScheduler,
    Scheduler,
    first_decision,
)

GOLDEN_RATIO = 0.6180339887498949


def first_rungs(grace_epochs: int, keep_one_in: int, max_epochs: int) -> list[int]:
    """The epoch at which each bracket begins to stop trials; the last one stops none.

    >>> first_rungs(1, 3, 9)
    [1, 3, 9]
    """
    firsts = []
    while grace_epochs < max_epochs:
        firsts.append(grace_epochs)
        grace_epochs *= keep_one_in
    return [*firsts, max_epochs]


def bracket_of(number: int, brackets: int, keep_one_in: int) -> int:
    """The bracket of a trial; any few trials in a row are spread over all in the right shares.

    It depends on the number alone, so a resumed trial comes back into its bracket.

    >>> [bracket_of(number, 3, 3) for number in range(8)]
    [0, 1, 0, 2, 0, 0, 1, 0]
    """
    rungs = range(brackets - 1, -1, -1)
    sizes = [ceil(brackets / (s + 1) * keep_one_in**s) for s in rungs]
    place = number * GOLDEN_RATIO % 1 * sum(sizes)
    bracket = 0
    while place >= sizes[bracket]:
        place -= sizes[bracket]
        bracket += 1
    return bracket


def rungs_of(scheduler: Scheduler | None, number: int, max_epochs: int) -> list[int]:
    """The epochs at which a trial is compared with others, and ``max_epochs`` at the end.

    >>> from mhray.tuning.scheduler_kinds import Asha, AshaScheduler
    >>> rungs_of(AshaScheduler(asha=Asha(grace_epochs=2)), 1, 8), rungs_of(None, 1, 8)
    ([2, 6, 8], [8])
    """
    match scheduler:
        case AshaScheduler(asha=rule):
            return first_rungs(rule.grace_epochs, rule.keep_one_in, max_epochs)
        case HyperbandScheduler(hyperband=rule):
            firsts = first_rungs(rule.grace_epochs, rule.keep_one_in, max_epochs)
            return firsts[bracket_of(number, len(firsts), rule.keep_one_in) :]
        case None:
            return [max_epochs]
    return [min(first_decision(scheduler)[1], max_epochs), max_epochs]


def chance_to_go_on(seen: int, keep_one_in: int) -> float:
    """That a trial as good as any other passes a rung that ``seen`` others have come to.

    Ray's ASHA lets it pass if it is no worse than a quantile of theirs, interpolated linearly; so
    the first always passes, and of many one in ``keep_one_in``.

    >>> [round(chance_to_go_on(seen, 3), 2) for seen in (0, 1, 2, 1000)]
    [1.0, 0.5, 0.44, 0.33]
    """
    if not seen:
        return 1.0
    return 1 - (1 + (seen - 1) * (1 - 1 / keep_one_in)) / (seen + 1)
