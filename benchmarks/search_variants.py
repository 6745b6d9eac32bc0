"""Which trials should TPE look at where some are stopped? Rules that were tried, beside Ray's own.

    python benchmarks/search_variants.py                    # what is missing of seeds 100 to 119
    python benchmarks/search_variants.py --seeds 3 --journal J

The seeds are others than those of search_oracle.py, or the rule that does best there by chance
would be chosen, and its figures would be too good. Each replay is a line of
search_variants.jsonl, of which search_page.py makes a table.
"""

import argparse
import json
import math
import warnings
from copy import copy
from functools import partial
from itertools import product
from pathlib import Path

import optuna
from learning_curves import KINDS
from optuna.trial import TrialState
from oracle_tables import SOURCES
from search_oracle import SINGLE, Plan, one_replay
from search_sides import Mhray, RayOptuna
from typing_extensions import override

from mhray.tuning.compared import ComparingTPE, comparable

HERE = Path(__file__).resolve().parent
FIRST_SEED = 100
STARTUP_TRIALS = 10
ENDED = (TrialState.COMPLETE, TrialState.PRUNED)


class Variant(ComparingTPE):
    """Optuna's TPE, which looks at what a rule shows it.

    Args:
        rule: from a study's trials to those that are shown.
        is_of_complete: whether a tenth of the complete trials is good, and not of all.
    """

    def __init__(self, rule, is_of_complete, seed):
        self._rule = rule
        self._complete = 0
        gamma = {"gamma": self._good} if is_of_complete else {}
        options = {"multivariate": True, "group": True, "constant_liar": True}
        super().__init__(STARTUP_TRIALS, seed=seed, **options, **gamma)

    @override
    def compared(self, trials):
        if all(one.state != TrialState.PRUNED for one in trials):
            return trials
        shown = sorted(self._rule(trials), key=lambda one: one.number)
        self._complete = sum(one.state == TrialState.COMPLETE for one in shown)
        return shown

    def _good(self, _count):
        return max(1, min(math.ceil(0.1 * self._complete), 25))


def everything(trials):
    """All that ended, and all that run."""
    return [one for one in trials if one.state in (*ENDED, TrialState.RUNNING)]


def without_stopped(trials):
    """Complete trials, and those that run."""
    return [one for one in everything(trials) if one.state != TrialState.PRUNED]


def last_epoch_of(enough):
    """Complete trials alone once they are enough.

    Until then those that finished the last epoch that enough have, each complete with its value
    there; until then everything.
    """

    def rule(trials):
        ended = [one for one in trials if one.state in ENDED]
        running = [one for one in trials if one.state == TrialState.RUNNING]
        complete = [one for one in ended if one.state == TrialState.COMPLETE]
        if len(complete) >= enough:
            return complete + running
        epochs = {epoch for one in ended for epoch in one.intermediate_values}
        for epoch in sorted(epochs, reverse=True):
            came = [one for one in ended if not math.isnan(_value_at(epoch, one))]
            if len(came) >= enough:
                return [_ended_at(epoch, one) for one in came] + running
        return ended + running

    return rule


def once_complete(enough):
    """Complete trials alone once they are enough; until then everything. mhray has it with 20."""
    return lambda trials: comparable(trials, enough)


def others_behind(enough):
    """The same, and behind them all that did not come as far: those that run are never good."""
    return lambda trials: as_many_behind(enough, trials, ranked=0)


def as_many_behind(enough, trials, *, ranked=1, rest=True):
    """The same, and of the others as many as are compared, the last ones, ranked below these.

    All before those are behind, or not shown.
    """
    shown = {one.number: one for one in last_epoch_of(enough)(trials)}
    others = [one for one in everything(trials) if one.number not in shown]
    compared = sum(one.state in ENDED for one in shown.values())
    first = max(0, len(others) - ranked * compared)
    return [*shown.values(), *others[first:], *(map(_behind, others[:first]) if rest else ())]


def ranks(trials):
    """All that ended, each with its rank among those that finished the last epoch that it did."""
    return [_ranked(one, trials) if one.state in ENDED else one for one in everything(trials)]


def _value_at(epoch, trial):
    return trial.intermediate_values.get(epoch, math.nan)


def _ended_at(epoch, trial):
    ended = copy(trial)
    ended.state, ended.value = TrialState.COMPLETE, trial.intermediate_values[epoch]
    return ended


def _behind(trial):
    behind = copy(trial)
    behind.state, behind.datetime_complete = TrialState.RUNNING, None
    return behind


def _ranked(trial, trials):
    epoch, value = max(trial.intermediate_values.items())
    came = [
        one.intermediate_values[epoch]
        for one in trials
        if one.state in ENDED and epoch in one.intermediate_values
    ]
    ranked = copy(trial)
    ranked.state = TrialState.COMPLETE
    ranked.value = sum(other < value for other in came) / len(came)
    return ranked


def side(named, rule, *, is_of_complete=False):
    """A way of searching: mhray's with another rule."""

    class Side(Mhray):
        name = named

        def __init__(self, task):
            super().__init__(task)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                sampler = Variant(rule, is_of_complete, task.seed)
            self._search._sampler = sampler  # noqa: SLF001

    return Side


VARIANTS = (
    RayOptuna,
    side("last epoch of 10", last_epoch_of(10)),
    side("last epoch of 20", last_epoch_of(20)),
    side("last epoch of 30", last_epoch_of(30)),
    side("complete trials alone", without_stopped),
    side("all, a tenth of the complete good", everything, is_of_complete=True),
    side("last epoch of 10, others behind", others_behind(10)),
    side("last epoch of 20, others behind", others_behind(20)),
    side("last epoch of 10, as many below", partial(as_many_behind, 10, rest=False)),
    side("last epoch of 10, as many below, others behind", partial(as_many_behind, 10)),
    side("last epoch of 20, as many below, others behind", partial(as_many_behind, 20)),
    side("ranks at the last epoch of each", ranks),
    side("complete trials alone, once 10", once_complete(10)),
    side("complete trials alone, once 20", once_complete(20)),
)


def replay_missing(journal, seeds, tables, plan):
    """Runs what has no line yet, seed after seed."""
    done = journal.read_text(encoding="utf-8").splitlines() if journal.exists() else []
    known = {tuple(json.loads(line).values())[:-1] for line in done}
    seeds = range(FIRST_SEED, FIRST_SEED + seeds)
    for seed, name, kind, variant in product(seeds, tables, KINDS, VARIANTS):
        about = {"table": name, "curves": kind.name, "side": variant.name, "seed": seed}
        if tuple(about.values()) in known:
            continue
        found = one_replay(variant, tables[name], kind, seed, plan)
        with journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({**about, "mean_regret": found["mean_regret"]}) + "\n")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20, help=f"how many, from {FIRST_SEED}")
    parser.add_argument("--journal", type=Path, default=HERE / "search_variants.jsonl")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    tables = {name: SOURCES[name].table(name) for name in SOURCES if name != SINGLE}
    replay_missing(options.journal, options.seeds, tables, Plan(27, 60, 4, stops=True))


if __name__ == "__main__":
    main()
