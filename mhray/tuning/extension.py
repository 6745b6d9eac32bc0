"""More trials than a study's file says, asked for on the command line.

The total stands in the journal, so the same command without the option neither forgets the trials
nor takes them back, and one that was killed and is typed again asks for no more than it did.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mhray.errors import ConfigError
from mhray.tuning.rules import broken_rules
from mhray.tuning.study import Study


@dataclass(frozen=True)
class Extension:
    """How far a study was taken beyond the budget of its file.

    Attributes:
        by: trials that were asked for last; 0: none ever were.
        to: trials in all.
    """

    by: int = 0
    to: int = 0

    def further(self, by: int, budget: int, ended: int) -> "Extension":
        """This one after ``by`` more trials are asked for, which it may be about already.

        >>> Extension().further(5, budget=24, ended=24)
        Extension(by=5, to=29)
        >>> Extension(by=5, to=29).further(5, budget=24, ended=26)
        Extension(by=5, to=29)
        >>> Extension(by=5, to=29).further(5, budget=24, ended=29)
        Extension(by=5, to=34)
        """
        is_under_way = by == self.by and ended < self.to
        return self if not by or is_under_way else Extension(by, max(budget, self.to) + by)

    def of(self, study: Study) -> Study:
        """The study with the larger of its two budgets.

        Raises:
            ConfigError: the study cannot have so many trials.
        """
        if self.to <= study.budget.trials:
            return study
        budget = study.budget.model_copy(update={"trials": self.to})
        extended = study.model_copy(update={"budget": budget})
        for location, message in broken_rules(extended):
            raise ConfigError(f"--extend: {'.'.join(map(str, location))} {message}")
        return extended

    def lines(self, budget: int) -> Iterator[str]:
        """What to say to whoever reads another budget in the file."""
        if self.to > budget:
            added = f"the last {self.by} by --extend"
            yield f"budget: {self.to} trials count, {added}; the file says {budget}"
