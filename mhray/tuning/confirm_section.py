"""How a study's best trials are confirmed, as its file says it."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from mhray.tuning.schema import Section


class Confirm(Section):
    """The best trials are trained again with fresh seeds, and those decide which is the best.

    Attributes:
        top (trials): the best by select, beside trial 0 and the winner at equal loss weights.
        seeds (runs): of each before the first of them may drop out.
        max_seeds (runs): of each at most.
    """

    top: Annotated[int, Field(ge=1)] = 3
    seeds: Annotated[int, Field(ge=2)] = 2
    max_seeds: Annotated[int, Field(ge=2)] = 5

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if self.max_seeds < self.seeds:
            raise ValueError(
                f"begins with {self.seeds} seeds, which is more than max_seeds, "
                f"{self.max_seeds}; write max_seeds: {self.seeds} or more"
            )
        return self
