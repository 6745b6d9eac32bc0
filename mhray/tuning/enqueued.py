"""The trials that a study starts with: the parameters with which they wait in the journal.

A given trial is a baseline of a config that has the given values: it stands where they stand in
what is searched, and everywhere else where trial 0 does.
"""

from collections.abc import Mapping, Sequence

from mhray.heads import Head
from mhray.tuning.distributions import LOSS_WEIGHTS, Draw
from mhray.tuning.enqueue_kinds import WEIGHT_RULES, Given
from mhray.tuning.search import baseline_of, baselines_of
from mhray.tuning.space import walk, with_options
from mhray.tuning.study import Study
from mhray.tuning.world import Compose
from mhray.tuning.yaml_lines import Value


def first_trials(study: Study, heads: Sequence[Head], compose: Compose) -> list[Draw]:
    """The parameters of the trials that a study starts with: baselines, then those it gives."""
    given = [_values(study, given, heads) for given in study.enqueue or ()]
    trials = [_parameters(study, values, compose) for values in given]
    return [*baselines_of(study, compose), *trials]


def _values(study: Study, given: Given, heads: Sequence[Head]) -> Mapping[str, Value]:
    match given:
        case str(word):
            drawn = walk(with_options(study.search, {}))
            paths = {path for entry in drawn for path in entry.distribution.sets(entry.path)}
            weights = {f"{LOSS_WEIGHTS}.{head.name}": head for head in heads}
            rule = WEIGHT_RULES[word]
            return {path: rule(head) for path, head in weights.items() if path in paths}
    return given


def _parameters(
    study: Study,
    values: Mapping[str, Value],
    compose: Compose,
) -> Draw:
    paths = {entry.path for entry in walk(study.search) if entry.distribution.options()}
    chosen = {path: value for path, value in values.items() if path in paths}
    return baseline_of(study, compose, chosen, values)
