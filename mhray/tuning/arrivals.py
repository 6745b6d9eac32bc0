"""Says which node of a cluster came to its data, how much it fetched and how long that took."""

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from rich.console import Console
from typing_extensions import override

from mhray.training.staging import Arrivals
from mhray.tuning.guard import Guard


class TellArrivals(Callback):
    """Prints a line for each node, at the next step of Tune's loop."""

    def __init__(self, arrivals: Arrivals, console: Console, guard: Guard) -> None:
        self._arrivals = arrivals
        self._console = console
        self._guard = guard

    @override
    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with self._guard:
            for arrival in self._arrivals.new():
                self._console.print(f"data: {arrival}", markup=False)

    def __getstate__(self) -> dict[str, Any]:
        return {}
